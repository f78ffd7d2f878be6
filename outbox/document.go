package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// documentFields are the members of "document" in the order of the spec's
// example; all twenty custom columns are always present.
var documentFields = slices.Concat(
	[]string{
		"id", "doc_url", "filename", "status", "doc_type", "vendor_name",
		"invoice_number", "total_amount", "currency", "doc_date", "due_date",
		"contact_id", "folder_id", "ai_summary", "notes", "custom_fields",
	},
	customColumns,
	[]string{"extraction_profile", "external_refs"},
)

var (
	profileFields  = []string{"id", "name", "field_count"}
	lineItemsGroup = []string{"line_items", "line_items_count", "line_items_total"}
)

// appendDocument writes the fields of document.exported. The columns that the
// worker computes or narrows take the place of the facts' own; then the
// document is written like any other event.
func appendDocument(out []byte, facts object, baseURL string) ([]byte, error) {
	for _, step := range []func(*object) error{
		requireExport,
		func(facts *object) error { return setDocURL(facts, baseURL) },
		setCustomFields, // reads the profile's labels, so it goes before setProfile
		setProfile,
		setExternalRefs,
		setLineItems,
	} {
		if err := step(&facts); err != nil {
			return nil, err
		}
	}
	out = appendObject(append(out, `,"document":`...), documentFields, facts)
	return appendFields(out, lineItemsGroup, facts), nil
}

// requireExport holds back a document in any other status: the spec's "only
// fires when the document status is set to Export".
func requireExport(facts *object) error {
	const rule = `"Export" was expected: the document is sent once it is in Export`
	status := facts.get("status")
	if status == null {
		return &RenderError{"status", "missing or null, " + rule}
	}
	if !status.isString() || status.text() != "Export" {
		return &RenderError{"status", excerpt(string(status)) + " was found, " + rule}
	}
	return nil
}

// setDocURL computes the deep link; whatever the facts hold under its name is
// ignored.
func setDocURL(facts *object, baseURL string) error {
	base := strings.TrimRight(baseURL, "/")
	if base == "" {
		return &RenderError{"document_base_url", "nothing was found, the address of RecordEngine was expected: doc_url begins with it"}
	}
	id, err := documentID(facts.get("id"))
	if err != nil {
		return err
	}
	facts.set("doc_url", quote(base+"/api/document/"+url.PathEscape(id)+"/view"))
	return nil
}

// maxIDLength is the longest id, in characters: what webhook.document_id in
// schema.sql takes, which keeps the exports of one document in order.
const maxIDLength = 200

// documentID returns the text of an id, a number as it was written or a string.
// "." and ".." are refused: a browser takes them, escaped or not, for steps in
// the path.
func documentID(id token) (string, error) {
	want := fmt.Sprintf("a number or a string of 1 to %d characters", maxIDLength)
	if id.isNumber() && len(id) > maxIDLength {
		return "", &RenderError{"id", fmt.Sprintf("a number of %d characters was found, %s was expected", len(id), want)}
	}
	if id.isNumber() {
		return string(id), nil
	}
	if !id.isString() {
		return "", unexpected("id", id, want)
	}
	text := id.text()
	length := utf8.RuneCountInString(text)
	if length == 0 || length > maxIDLength {
		return "", &RenderError{"id", fmt.Sprintf("a string of %d characters was found, %s was expected", length, want)}
	}
	if text == "." || text == ".." {
		return "", &RenderError{"id", excerpt(string(id)) + " was found, which no URL can hold as one part of its path; another id was expected"}
	}
	return text, nil
}

// quote encodes a text of our own as JSON, "&" and "<" as they are.
func quote(text string) token {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic("a string can be encoded: " + err.Error())
	}
	return token(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

// setProfile narrows the extraction profile to what the spec shows of it: its
// labels are read, not sent.
func setProfile(facts *object) error {
	profile, err := objectOrNull("extraction_profile", facts.get("extraction_profile"))
	if err != nil || profile == nil {
		return err
	}
	facts.set("extraction_profile", token(appendObject(make([]byte, 0, 128), profileFields, profile)))
	return nil
}

// setExternalRefs makes {} of missing references and refuses what is no object.
func setExternalRefs(facts *object) error {
	refs := facts.get("external_refs")
	if refs == null {
		facts.set("external_refs", "{}")
	} else if refs[0] != '{' {
		return unexpected("external_refs", refs, "an object")
	}
	return nil
}
