package envelope_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// The same draws on every run, and no files left behind: a red test is a
// change of ours. Explore with -rapid.seed and -rapid.checks.
func init() {
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// values draws JSON values, written in every way that JSON allows.
func values(depth int) *rapid.Generator[string] {
	scalars := rapid.OneOf(
		rapid.Map(numbers, func(n number) string { return n.text }),
		rapid.SampledFrom([]string{
			"null", "true", "false", `""`, `" "`, `"Export"`, `"<&>"`, `"\u0000"`, `"\ud800"`, `"\/"`,
			`"\\"`, `"\""`, `"\\\""`, `"}],"`, `"供应商"`, `"🧾"`, "\"\u2028\"", `"custom_07"`, `"PO Number"`,
		}),
	)
	if depth == 0 {
		return scalars
	}
	return rapid.OneOf(scalars, arrays(depth), objects(depth, rapid.SampledFrom([]string{
		"a", "amount", "description", "labels", "name", "id", "custom_01", "custom_02", "custom_10",
	})))
}

var space = rapid.SampledFrom([]string{"", "", " ", "\n", "\t\r\n "})

func arrays(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		elements := rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "elements")
		gap := space.Draw(t, "gap")
		return "[" + gap + strings.Join(elements, gap+","+gap) + gap + "]"
	})
}

func objects(depth int, keys *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		gap := space.Draw(t, "gap")
		var members []string
		for range rapid.IntRange(0, 12).Draw(t, "members") {
			member := quoteKey(t, keys.Draw(t, "key")) + gap + ":" + gap + values(depth-1).Draw(t, "value")
			members = append(members, member)
		}
		return gap + "{" + gap + strings.Join(members, gap+","+gap) + gap + "}"
	})
}

// quoteKey writes a key, at times with its first letter escaped.
func quoteKey(t *rapid.T, key string) string {
	if rapid.IntRange(0, 9).Draw(t, "escaped") == 0 {
		return fmt.Sprintf(`"\u%04x%s"`, key[0], key[1:])
	}
	return `"` + key + `"`
}

// mustCompact is what a value must look like when it is sent as written.
func mustCompact(t *rapid.T, value json.RawMessage) string {
	if value == nil {
		return "null"
	}
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// fields is a JSON object whose order is kept.
type fields struct {
	keys   []string
	values map[string]json.RawMessage
}

// readFields is a reader that shares nothing with Render.
func readFields(text []byte) (fields, error) {
	read := fields{values: map[string]json.RawMessage{}}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil {
		return read, err
	} else if open != json.Delim('{') {
		return read, fmt.Errorf("%v begins no object", open)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return read, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return read, err
		}
		read.keys = append(read.keys, key.(string))
		read.values[key.(string)] = value
	}
	_, err := decoder.Token()
	return read, err
}
