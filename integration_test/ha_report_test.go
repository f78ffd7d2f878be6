//go:build ha

package integration_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table of docs/ha.md stands between these lines.
const haTableBegins, haTableEnds = "<!-- make ha begins -->\n", "<!-- make ha ends -->"

// haReport prints the numbers, and writes them into the file that DOCUMENT names.
func haReport(t *testing.T, all []haNumbers) {
	t.Helper()
	var b strings.Builder
	b.WriteString("| fault | workers connect by | events/s before it | s without a commit | s without a delivery | events acknowledged | answer unknown | lost | documents sent again | one-attempt events sent twice | one-attempt events `maybe` |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, n := range all {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.1f | %.1f | %d | %d | %d | %d | %d | %d |\n",
			n.scenario, n.way, n.rate, n.noCommit, n.noDelivery, n.acknowledged, n.unknown, n.lost, n.again, n.twice, n.interrupted)
	}
	t.Logf("\n%s", b.String())
	if document := os.Getenv("DOCUMENT"); document != "" && !t.Failed() {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, found := strings.Cut(string(text), haTableBegins)
		_, after, ends := strings.Cut(rest, haTableEnds)
		if !found || !ends {
			t.Fatalf("%s has no lines %q and %q", document, haTableBegins, haTableEnds)
		}
		if err := os.WriteFile(document, []byte(before+haTableBegins+b.String()+haTableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
