package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	begin  = `{"config": {"scanner_name": "govulncheck", "go_version": "go1.26.8"}}`
	report = `{"osv": {"id": "GO-1", "summary": "An endless loop"}}`
)

// found is a finding of GO-1 whose trace begins with a frame.
func found(frame string) string {
	return `{"finding": {"osv": "GO-1", "fixed_version": "v1.2.4", "trace": [` + frame + `,
		{"module": "ours", "package": "ours/sender", "function": "ascii"}, {"module": "ours", "package": "ours", "function": "main"}]}}`
}

func TestVuln_Judged(t *testing.T) {
	const (
		module   = `{"module": "example.com/m", "version": "v1.2.3", "package": "example.com/m", "function": "F"}`
		std      = `{"module": "stdlib", "version": "v1.26.8", "package": "net/http", "function": "Get"}`
		required = `{"module": "example.com/m", "version": "v1.2.3"}`
		imported = `{"module": "example.com/m", "version": "v1.2.3", "package": "example.com/m"}`
	)
	for name, c := range map[string]struct {
		said          string
		strict, fails bool
		prints        string
	}{
		"nothing":                     {begin + report, true, false, "no known vulnerability"},
		"a module":                    {begin + report + found(module), false, true, "GO-1 example.com/m v1.2.3, fixed in v1.2.4: An endless loop; reached from ours/sender.ascii"},
		"a module, twice":             {begin + report + found(module) + found(module), false, true, "GO-1"},
		"not imported":                {begin + report + found(required), true, false, "no known vulnerability"},
		"imported and not called":     {begin + report + found(imported), true, false, "no known vulnerability"},
		"the standard library":        {begin + report + found(std), false, false, "build a release with the Go version"},
		"the standard library strict": {begin + report + found(std), true, true, "GO-1 stdlib v1.26.8"},
		"both":                        {begin + report + found(std) + found(module), false, true, "stdlib"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			all, err := reached(strings.NewReader(c.said))
			if err != nil {
				t.Fatal(err)
			}
			if err := judge(&out, all, c.strict); (err != nil) != c.fails {
				t.Errorf("error: %v", err)
			}
			if !strings.Contains(out.String(), c.prints) || strings.Count(out.String(), "GO-1 example.com") > 1 {
				t.Errorf("it printed %s", out.String())
			}
		})
	}
}

// What is no result of a scan does not pass for one without a finding.
func TestVuln_BrokenOutputIsAnError(t *testing.T) {
	for _, said := range []string{"", "{}", report, begin + "{", "no vulnerabilities"} {
		if _, err := reached(strings.NewReader(said)); err == nil {
			t.Errorf("%q passes", said)
		}
	}
}

func TestVuln_DatabaseThatDoesNotAnswerIsSaid(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/db.json.gz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer up.Close()
	wrong := httptest.NewServer(http.NotFoundHandler())
	defer wrong.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	if db, err := database(t.Context(), up.URL); err != nil || db != up.URL {
		t.Errorf("got %s, %v", db, err)
	}
	for _, db := range []string{wrong.URL, gone.URL} {
		if _, err := database(t.Context(), db); err == nil {
			t.Errorf("%s is taken for a database", db)
		}
		var out strings.Builder
		t.Setenv("GOVULNDB", db)
		if err := run(t.Context(), &out, "none", true); err != nil || !strings.HasPrefix(out.String(), "vulnerabilities NOT CHECKED: the database is not reachable (") {
			t.Errorf("%v, %s", err, out.String())
		}
	}
}
