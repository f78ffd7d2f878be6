// Command openapi writes docs/openapi.yaml, on standard output: the requests that a receiver gets, as an
// OpenAPI 3.1 document. The events and their fields are read from docs/contract.md, the examples from
// envelope/testdata; what is the same for every event stands in openapi.yaml.tmpl. It runs at the root of
// the repository: `make openapi`.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/recordengine/webhooks/envelope/fixtures"
)

//go:embed openapi.yaml.tmpl
var document string

func main() {
	if err := run(os.Stdout, "."); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

// run writes the document for the sources below root.
func run(out io.Writer, root string) error {
	contract, err := os.ReadFile(filepath.Join(root, "docs", "contract.md"))
	if err != nil {
		return err
	}
	events, err := readContract(string(contract))
	if err != nil {
		return fmt.Errorf("docs/contract.md: %w", err)
	}
	examples, err := fixtures.Examples(filepath.Join(root, "envelope", "testdata", "examples"))
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for _, e := range examples {
		bodies[e.Event] = e.Want
	}
	for i := range events {
		if events[i].Example = bodies[events[i].Name]; events[i].Example == nil {
			return fmt.Errorf("envelope/testdata/examples has none of %s", events[i].Name)
		}
	}
	tmpl, err := template.New("").Delims("<%", "%>").Funcs(words).Parse(document)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, events); err != nil {
		return err
	}
	_, err = text.WriteTo(out)
	return err
}

var words = template.FuncMap{
	"columns": func() (names []string) {
		for i := range 20 {
			names = append(names, fmt.Sprintf("custom_%02d", i+1))
		}
		return names
	},
	"sentence": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." },
	"quoted":   func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" },
	"example":  indented,
}
