package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A mutant whose text is no longer in the code breaks nothing, and its test proves nothing.
func TestList_EachMutantApplies(t *testing.T) {
	text, err := os.ReadFile("list.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.name] {
			t.Errorf("%q stands twice", m.name)
		}
		seen[m.name] = true
		source, err := os.ReadFile(filepath.Join("..", m.file))
		if err != nil {
			t.Errorf("%q: %v", m.name, err)
			continue
		}
		broken := string(source)
		for _, e := range m.edits {
			if broken, err = e.apply(broken); err != nil {
				t.Errorf("%q does not apply to %s: %v", m.name, m.file, err)
				break
			}
		}
	}
}
