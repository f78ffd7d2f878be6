package admin

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/administer.md explains each failure in the words of webhook.hint, which the page, the command line
// and SQL use, without the statements that are for an operator.
func TestAdministerPage_HasTheWordsOfEachHint(t *testing.T) {
	t.Parallel()
	page := readText(t, "../docs/administer.md")
	_, hints, found := strings.Cut(readText(t, "../schema.sql"), "create function webhook.hint(")
	hints, _, ended := strings.Cut(hints, "$fn$;")
	if !found || !ended {
		t.Fatal("schema.sql has no webhook.hint")
	}
	literals := regexp.MustCompile(`(?:then|else) '((?:[^']|'')+)'`).FindAllStringSubmatch(hints, -1)
	if len(literals) < 25 {
		t.Fatalf("webhook.hint has %d texts", len(literals))
	}
	for _, literal := range literals {
		for _, words := range withoutSQL(strings.ReplaceAll(literal[1], "''", "'")) {
			if !strings.Contains(page, words) {
				t.Errorf("docs/administer.md does not say: %s", words)
			}
		}
	}
}

// Each word that the page has for a state is explained.
func TestAdministerPage_ExplainsEachState(t *testing.T) {
	t.Parallel()
	page := readText(t, "../docs/administer.md")
	for _, word := range []string{
		"Delivered", "Waiting", "Failed", "Skipped", "Superseded", "Cancelled",
		"Healthy", "Failing since 14:02", "Held", "Off", "Never used",
	} {
		if !strings.Contains(page, "\n| "+word+" | ") {
			t.Errorf("docs/administer.md does not explain %s", word)
		}
	}
}

// withoutSQL are the parts of a hint before and after its statements: an administrator of the page needs none.
func withoutSQL(hint string) (parts []string) {
	statement := regexp.MustCompile(`(?:, or in its row)?\s*\((?:update|select) [^)]*\)|(?:, or mark the event)?: select .*$`)
	for _, part := range statement.Split(hint, -1) {
		if part = strings.Trim(part, " ,."); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
