package outbox

import (
	"bytes"
	"cmp"
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

var profileFields = []string{"id", "name", "field_count"}

// profileLabels is where setProfile leaves the labels for setCustomFields; no
// field that is sent has this name.
const profileLabels = "extraction_profile.labels"

// appendDocument writes the fields of document.exported. The columns that the
// worker computes or narrows take the place of the facts' own; then the
// document is written like any other event.
func appendDocument(out []byte, facts object, baseURL string) ([]byte, error) {
	err := cmp.Or( // the first error counts; whatever is set after it is not sent
		requireExport(facts),
		setDocURL(&facts, baseURL),
		setProfile(&facts),
		setCustomFields(&facts), // reads the labels that setProfile has found
		setExternalRefs(&facts),
	)
	if err != nil {
		return nil, err
	}
	out = appendObject(append(out, `,"document":`...), documentFields, facts)
	return appendLineItems(out, facts.get("line_items"))
}

// requireExport holds back a document in any other status: the spec's "only
// fires when the document status is set to Export".
func requireExport(facts object) error {
	const rule = `"Export" was expected: the document is sent once it is in Export`
	status := facts.get("status")
	if status == null {
		return &RenderError{"status", "missing or null, " + rule}
	}
	if !status.isString() || status.text() != "Export" {
		return &RenderError{"status", excerpt(string(status.compact())) + " was found, " + rule}
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
	facts.set("doc_url", quoted(escaped(base)+"/api/document/"+url.PathEscape(id)+"/view"))
	return nil
}

// maxIDLength is the longest id, in characters: what webhook.document_id in
// schema.sql takes, which keeps the exports of one document in order.
const maxIDLength = 200

var wantID = fmt.Sprintf("a number or a string of 1 to %d characters", maxIDLength)

// documentID returns the text of an id, a number as it was written or a string.
// "." and ".." are refused: a browser takes them, escaped or not, for steps in
// the path.
func documentID(id token) (string, error) {
	text, kind := string(id), "number"
	if id.isString() {
		text, kind = id.text(), "string"
	} else if !id.isNumber() {
		return "", unexpected("id", id, wantID)
	}
	if length := utf8.RuneCountInString(text); length == 0 || length > maxIDLength {
		return "", &RenderError{"id", fmt.Sprintf("a %s of %d characters was found, %s was expected", kind, length, wantID)}
	}
	if text == "." || text == ".." {
		return "", &RenderError{"id", excerpt(string(id)) + " was found, which no URL can hold as one part of its path; another id was expected"}
	}
	return text, nil
}

// escaped is a text of our own as JSON writes it between quotes, "&" and "<" as
// they are.
func escaped(text string) string {
	mayNeedEscape := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	if !strings.ContainsFunc(text, mayNeedEscape) {
		return text
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic("a string can be encoded: " + err.Error())
	}
	return token(bytes.TrimSuffix(out.Bytes(), []byte("\n"))).written()
}

// setProfile narrows the extraction profile to what the spec shows of it: its
// labels are read, not sent.
func setProfile(facts *object) error {
	profile, err := facts.object("extraction_profile")
	if err != nil {
		return err
	}
	facts.set(profileLabels, profile.get("labels"))
	if profile != nil {
		facts.set("extraction_profile", token(appendObject(make([]byte, 0, 128), profileFields, profile)))
	}
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
