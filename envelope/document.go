package envelope

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// documentFields are the members of "document" in the order in which they are
// sent; all twenty custom columns are always present.
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

// appendDocument writes the fields of document.exported. What is computed or
// narrowed replaces the data's own; then the document is written like any other
// event.
func appendDocument(out []byte, in Input, data object) ([]byte, error) {
	err := cmp.Or( // the first error counts; whatever is set after it is not sent
		requireExport(data),
		setDocURL(&data, in.DocumentBaseURL),
		setProfile(&data),
		setCustomFields(&data), // reads the labels that setProfile has set
		setExternalRefs(&data),
	)
	if err != nil {
		return nil, err
	}
	out = appendObject(append(out, `,"document":`...), documentFields, data)
	return appendLineItems(out, data.get("line_items"))
}

// requireExport refuses a document in another status: only exported documents are
// sent (the contract, The payload).
func requireExport(data object) error {
	const rule = `expected "Export": set the document to Export and publish it again`
	status := data.get("status")
	if status == null {
		return &Error{"status", "missing or null, " + rule}
	}
	if !status.isString() || status.text() != "Export" {
		return &Error{"status", "is " + excerpt(string(status.compact())) + ", " + rule}
	}
	return nil
}

// setDocURL computes the deep link; what the data has under its name is ignored.
func setDocURL(data *object, baseURL string) error {
	base := strings.TrimRight(strings.TrimFunc(baseURL, unseen), "/")
	if base == "" {
		return &Error{"document_base_url", "empty, and doc_url begins with it: set document_base_url in webhook.settings to the address of RecordEngine"}
	}
	id, err := documentID(data.get("id"))
	if err != nil {
		return err
	}
	data.set("doc_url", quoted(escaped(base)+"/api/document/"+url.PathEscape(id)+"/view"))
	return nil
}

// unseen is what a copied address brings along at its ends; webhook.trimmed in schema.sql drops it, too.
func unseen(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// maxIDLength is the longest id, in characters: that of webhook.document_id in
// schema.sql, which keeps the exports of one document in order.
const maxIDLength = 200

var wantID = fmt.Sprintf("a number or a string of 1 to %d characters", maxIDLength)

// documentID returns the text of an id, a number as it was written or a string.
// "." and ".." are refused: a browser treats them, escaped or not, as steps in the
// path.
func documentID(id token) (string, error) {
	text, kind := string(id), "number"
	if id.isString() {
		text, kind = id.text(), "string"
	} else if !id.isNumber() {
		return "", unexpected("id", id, wantID)
	}
	if length := utf8.RuneCountInString(text); length == 0 || length > maxIDLength {
		return "", &Error{"id", fmt.Sprintf("a %s of %d characters, expected %s", kind, length, wantID)}
	}
	if text == "." || text == ".." {
		return "", &Error{"id", excerpt(string(id)) + " cannot be one part of a URL's path, expected another id"}
	}
	return text, nil
}

// escaped is a setting's text as JSON writes it between quotes, "&" and "<" as
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

// setProfile narrows the extraction profile to the fields that are sent of it: its
// labels are only read.
func setProfile(data *object) error {
	profile, err := data.object("extraction_profile")
	if err != nil {
		return err
	}
	data.set(profileLabels, profile.get("labels"))
	if profile != nil {
		data.set("extraction_profile", token(appendObject(make([]byte, 0, 128), profileFields, profile)))
	}
	return nil
}

// setExternalRefs replaces missing references by {} and refuses what is no object.
func setExternalRefs(data *object) error {
	refs := data.get("external_refs")
	if refs == null {
		data.set("external_refs", "{}")
	} else if refs[0] != '{' {
		return unexpected("external_refs", refs, "an object")
	}
	return nil
}
