package admin

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// A name that shows nothing is none, and no text hides what it is made of.
func TestPersonName_ShowsWhatItIs(t *testing.T) {
	for name, want := range map[string]string{
		" Ada ": "Ada", "\u202eAda\x00\u200b": "Ada", "\u3164": "", "\u115f\u00a0\u2800": "", "Zoë 李": "Zoë 李", "A\u034fda": "Ada", "\xffAda": "Ada",
	} {
		if got := personName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := visible("a\u3164b\u2800"); got != "a‹U+3164›b‹U+2800›" {
		t.Errorf("it is shown as %q", got)
	}
}

// A name in Hebrew or Arabic must not turn the words and times beside it around.
// Nothing follows it where one logs out.
func TestTemplates_NamesAreIsolated(t *testing.T) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(<bdi[^>]*>)?\{\{middle (\$\.Body)?\.(Actor|User|Person|StoppedBy|Document|Detail) [^}]*\}\}`)
	found := 0
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllStringSubmatch(string(text), -1) {
			found++
			if m[1] == "" && name != "templates/logout.html" && !strings.Contains(string(text), `title="`+m[0]) {
				t.Errorf("%s shows %s outside of <bdi>", name, m[0])
			}
		}
	}
	if found < 8 {
		t.Errorf("%d were found", found)
	}
}
