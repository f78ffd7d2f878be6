package integration_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Log messages are constants that an operator can search for: docs/operate.md explains each one, and no others.
func TestMarkdown_OperatePageExplainsEveryLogMessage(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, pattern := range []string{"../outbox/*.go", "../cli/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				code.WriteString(text(t, file))
			}
		}
	}
	page := text(t, docs+"/operate.md")
	logged := regexp.MustCompile(`\blog\.(?:Debug|Info|Warn|Error)\("([^"]+)"`).FindAllStringSubmatch(code.String(), -1)
	if len(logged) < 10 {
		t.Fatalf("only %d log calls with a constant message were found", len(logged))
	}
	for _, m := range logged {
		if !strings.Contains(page, "| `"+m[1]+"` |") {
			t.Errorf("docs/operate.md does not explain %q", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:debug|info|warn|error) \\|").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(code.String(), `"`+m[1]+`"`) {
			t.Errorf("docs/operate.md explains %q, which is not logged", m[1])
		}
	}
}
