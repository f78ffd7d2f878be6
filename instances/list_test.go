package instances

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "postgres://u:hunter2@db/x"

func TestParse_Lines(t *testing.T) {
	check := func(url string) error {
		if !strings.HasPrefix(url, "postgres://") && !strings.Contains(url, "=") {
			return errors.New("its scheme is unknown")
		}
		return nil
	}
	for name, c := range map[string]struct{ text, names, err string }{
		"one line": {"a " + secret, "a", ""},
		"without a line break at the end, tabs, spaces": {"a\t" + secret + "  \n  b   " + secret, "a b", ""},
		"Windows line ends":                             {"a " + secret + "\r\nb " + secret + "\r\n", "a b", ""},
		"a byte order mark":                             {"\ufeffa " + secret, "a", ""},
		"comments and empty lines":                      {"# the first\n\na " + secret + "\n  # b " + secret, "a", ""},
		"key=value pairs":                               {"a host=db dbname=x password='a b'", "a", ""},
		"host names":                                    {"your-instance.recordengine.ai " + secret, "your-instance.recordengine.ai", ""},
		"nothing":                                       {"\n# none\n", "", "it names no database"},
		"no URL":                                        {"# names\nhunter2", "", "line 2: a name and a URL were expected"},
		"the URL alone":                                 {secret, "", "line 1: a name and a URL were expected"},
		"the URL first":                                 {secret + " a", "", "line 1: its name is none"},
		"a name twice":                                  {"a " + secret + "\nb " + secret + "\nA " + secret, "a b", "line 3: the name A stands on line 1, too"},
		"a name with a slash":                           {"a/b " + secret, "", "line 1: its name is none"},
		"a name that is too long":                       {strings.Repeat("x", 101) + " " + secret, "", "line 1: its name is none"},
		"a URL that is none":                            {"a mysql://u:hunter2@db/x", "", "line 1: the URL of a: its scheme is unknown"},
		"a URL that ends too soon":                      {"a postgres://", "", "line 1: the URL of a: after postgres:// a host and a database were expected"},
		"several lines":                                 {"hunter2\na mysql://hunter2\nb " + secret, "b", "line 1: a name and a URL were expected, with a space between them; line 2: the URL of a"},
		"more lines than can be read":                   {"x\nx\nx\nx\nx", "", "and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Parse(c.text, check)
			var names []string
			for _, e := range list {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); got != c.names {
				t.Errorf("the names are %q", got)
			}
			switch {
			case c.err == "" && err != nil, c.err != "" && err == nil:
				t.Errorf("the error is %v", err)
			case err != nil && !strings.Contains(err.Error(), c.err):
				t.Errorf("%v does not contain %q", err, c.err)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestFile_IsReadWhereItHasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	f := &File{Path: path, Check: func(string) error { return nil }}
	if _, _, err := f.Read(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that is missing: %v", err)
	}
	write(t, path, "a x")
	if list, changed, err := f.Read(); err != nil || !changed || len(list) != 1 {
		t.Errorf("first: %v %v %v", list, changed, err)
	}
	if _, changed, err := f.Read(); err != nil || changed {
		t.Errorf("unchanged: %v %v", changed, err)
	}
	write(t, path, "a")
	for range 2 {
		if _, changed, err := f.Read(); err == nil || changed {
			t.Errorf("malformed: %v %v", changed, err)
		}
	}
	write(t, path, "a y")
	if list, changed, err := f.Read(); err != nil || !changed || list[0].URL != "y" {
		t.Errorf("another URL: %v %v %v", list, changed, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
