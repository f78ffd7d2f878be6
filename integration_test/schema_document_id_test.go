package integration_test

import (
	"database/sql"
	"strings"
	"testing"
)

func TestDocumentID_NeverRaises(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct {
		name, data string
		want       any
	}{
		{"a number", `{"id": 42}`, "42"},
		{"a number with a fraction", `{"id": 42.50}`, "42.50"},
		{"a negative number", `{"id": -1}`, "-1"},
		{"a number of many digits", `{"id": 123456789012345678901234567890}`, "123456789012345678901234567890"},
		{"a string", `{"id": "A-7"}`, "A-7"},
		{"a string in Chinese", `{"id": "发票"}`, "发票"},
		{"a string with escapes", `{"id": "a\u0041\"b"}`, `aA"b`},
		{"a string that looks like a number", `{"id": "42"}`, "42"},
		{"a blank string", `{"id": " "}`, " "},
		{"200 characters", `{"id": "` + strings.Repeat("发", 200) + `"}`, strings.Repeat("发", 200)},
		{"201 characters", `{"id": "` + strings.Repeat("x", 201) + `"}`, nil},
		{"9 KB", `{"id": "` + long + `"}`, nil},
		{"a number of 9 KB", `{"id": ` + strings.Repeat("9", 9<<10) + `}`, nil},
		{"an empty string", `{"id": ""}`, nil},
		{"null", `{"id": null}`, nil},
		{"true", `{"id": true}`, nil},
		{"an object", `{"id": {"id": 42}}`, nil},
		{"an array", `{"id": [42]}`, nil},
		{"missing", `{"name": "x"}`, nil},
		{"nothing at all", `{}`, nil},
		{"only nested", `{"document": {"id": 42}}`, nil},
		{"in capitals", `{"ID": 42}`, nil},
		{"twice: the last counts", `{"id": 1, "id": 2}`, "2"},
		{"twice, the last null", `{"id": 1, "id": null}`, nil},
		{"NUL in another field", `{"id": 42, "notes": "a\u0000b"}`, "42"},
		{"NUL in another field, before", `{"notes": "a\u0000b", "id": "A-7"}`, "A-7"},
		{"NUL in a key", `{"a\u0000b": 1, "id": 42}`, "42"},
		{"NUL in the id", `{"id": "a\u0000b"}`, "a\ufffdb"},
		{"an escape in the id beside a NUL", `{"id": "caf\u00e9 \ud83d\ude00", "notes": "\u0000"}`, "café 😀"},
		{"backslashes in the id beside a NUL", `{"id": "a\\u0000\\\"\/", "notes": "\u0000"}`, `a\u0000\"/`},
		{"a key with an escape beside a NUL", `{"\u0069d": 42, "notes": "\u0000"}`, "42"},
		{"half a surrogate before the key", `{"id": 42, "\ud800id": 7}`, "42"},
		{"three surrogates", `{"id": "\ud83d\ud83d\ude00\ude00"}`, "\ufffd😀\ufffd"},
		{"201 characters beside a NUL", `{"id": "` + strings.Repeat(`\u00e9`, 201) + `", "notes": "\u0000"}`, nil},
		{"a lone high surrogate in another field", `{"id": 42, "notes": "\ud800"}`, "42"},
		{"a lone low surrogate in another field", `{"id": 42, "notes": "\udc00 x"}`, "42"},
		{"a high surrogate before another escape", `{"id": 42, "notes": "\ud800\n"}`, "42"},
		{"a lone surrogate in the id", `{"id": "\ud800"}`, "\ufffd"},
		{"a lone surrogate, nested", `{"id": 42, "a": {"b": ["\udfff"]}}`, "42"},
		{"a backslash before u0000 is text", `{"id": 42, "notes": "\\u0000"}`, "42"},
		{"backslashes and a NUL", `{"id": 42, "notes": "\\\\\\\u0000\\"}`, "42"},
		{"a quote escaped beside a NUL", `{"notes": "\",\"id\":7,\u0000", "id": 42}`, "42"},
		{"nested deeply", `{"id": 42, "a": ` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}`, "42"},
		{"9 KB beside it", `{"notes": "` + long + `", "id": 42}`, "42"},
	} {
		var got sql.NullString
		id := db.publish("document.exported", c.data)
		if err := db.Get(&got, `select document_id from webhook.outbox where id = $1`, id); err != nil {
			t.Fatal(err)
		}
		want, is := c.want.(string)
		if got.Valid != is || got.String != want {
			t.Errorf("%s: %q (set: %t), want %v", c.name, got.String, got.Valid, c.want)
		}
		db.publish("contact.created", c.data) // nor does any of it harm another event
	}
	if n := db.count(`select count(*) from webhook.outbox where event <> 'document.exported' and document_id is not null`); n != 0 {
		t.Errorf("%d events that are no documents have a document_id", n)
	}
}
