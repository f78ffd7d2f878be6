package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// A value that is ignored in silence is perhaps the one that was meant.
func TestFlags_GivenTwiceIsAnErrorOfEachCommand(t *testing.T) {
	repeatable := []string{"offline --discard", "receive --secret"}
	for path, c := range described() {
		if c.flags == nil {
			continue
		}
		root, _ := tree()
		built, _, err := root.Find(strings.Fields(path))
		if err != nil {
			t.Fatal(err)
		}
		built.Flags().VisitAll(func(f *pflag.Flag) {
			_ = f.Value.Set("1")
			err := f.Value.Set("1")
			refused := err != nil && err.Error() == "it is given twice, and one is possible"
			if refused == slices.Contains(repeatable, path+" --"+f.Name) {
				t.Errorf("%s --%s, given twice: %v", path, f.Name, err)
			}
		})
	}
}
