// Command licences lists the modules of the program and of its tests with their
// licences, and the texts that must come with the binary: docs/licences.md, on standard
// output. A licence that it does not know, or that is not accepted, is an error.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// accepted for what is part of the binary; tests may use more.
var (
	accepted        = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0", publicDomain}
	acceptedInTests = append([]string{"MPL-2.0"}, accepted...)
)

func run(out io.Writer) error {
	program, tests, err := modules()
	if err != nil {
		return err
	}
	if err := license(program, accepted); err != nil {
		return err
	}
	if err := license(tests, acceptedInTests); err != nil {
		return err
	}
	return write(out, program, tests)
}

// license finds the licences of modules, all of which must be accepted.
func license(all []*module, accepted []string) error {
	for _, m := range all {
		if err := m.findLicences(); err != nil {
			return err
		}
		for _, l := range m.licences {
			if !slices.Contains(accepted, l) {
				return fmt.Errorf("%s has the licence %s; accepted here: %s", m.path, l, strings.Join(accepted, ", "))
			}
		}
	}
	return nil
}

const intro = "# Licences\n\n" +
	"Made by `make licences`; a test checks that it is current. The program itself is under the MIT licence,\n" +
	"see [LICENSE](../LICENSE).\n"

func write(out io.Writer, program, tests []*module) error {
	var b strings.Builder
	b.WriteString(intro)
	table(&b, "The program", "These modules are part of the binary, on one system or all.", program)
	table(&b, "The tests", "These are needed to test it, and are in no binary.", tests)
	b.WriteString("\n## Texts\n\nThese go with each copy of the binary.\n")
	for _, n := range notices(program) {
		fmt.Fprintf(&b, "\n### %s\n\n```\n%s\n```\n", strings.Join(n.modules, ", "), n.text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func table(b *strings.Builder, title, about string, all []*module) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| module | version | licence |\n| --- | --- | --- |\n", title, about)
	for _, m := range all {
		fmt.Fprintf(b, "| %s | %s | %s |\n", m.path, m.version, strings.Join(m.licences, ", "))
	}
}
