package admin

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The list of the classes is that of the rule, so that each can be looked for.
func TestFailureClasses_AreThoseOfTheSchema(t *testing.T) {
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile(`(?s)when failure operator\(pg_catalog.<>\) all \(array\[(.*?)\]\)\s*then 'outbox_failure_is_known'`).FindSubmatch(schema)
	if check == nil {
		t.Fatal("schema.sql has no rule outbox_failure_is_known")
	}
	var want []string
	for _, m := range regexp.MustCompile(`'(\w+)'`).FindAllSubmatch(check[1], -1) {
		want = append(want, string(m[1]))
	}
	if got := FailureNames(); !slices.Equal(got, want) {
		t.Errorf("the page knows %v, the schema %v", got, want)
	}
	for _, c := range failureClasses {
		if c.Word == "" || strings.Contains(c.Word, "_") {
			t.Errorf("%s is %q in words", c.Name, c.Word)
		}
	}
}

func TestStatuses_AreThoseOfTheSchema(t *testing.T) {
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile(`(?s)when status operator\(pg_catalog.<>\) all \(array\[([^\]]*)\]\)\s*then 'outbox_status_is_known'`).FindSubmatch(schema)
	if check == nil {
		t.Fatal("schema.sql has no rule outbox_status_is_known")
	}
	if got := "'" + strings.Join(deliveryStatuses, "', '") + "'"; got != string(check[1]) {
		t.Errorf("the page knows %s, the schema %s", got, check[1])
	}
	for _, o := range (deliveriesView{}).StatusOptions() {
		if !slices.Contains(deliveryStatuses, o.Name) {
			t.Errorf("%s can be chosen, and is no status", o.Name)
		}
	}
}

func TestFirstSentence(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"The receiver is called too often. Set max_per_second.": "The receiver is called too often.",
		strings.Repeat("word ", 40):                             strings.TrimSpace(strings.Repeat("word ", 22)) + "…",
		strings.Repeat("é", 300):                                strings.Repeat("é", 110) + "…",
	} {
		if got := firstSentence(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
