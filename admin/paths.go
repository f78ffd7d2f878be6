package admin

import (
	"cmp"
	"net/http"
	"path"
	"strings"
	"unicode"
)

// underBase serves the page below BasePath, where a proxy leaves it in the path; a proxy that
// removes it is served as well.
func (s *site) underBase(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, under := strings.CutPrefix(r.URL.Path, s.BasePath); under && (rest == "" || rest[0] == '/') {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = cmp.Or(rest, "/"), strings.TrimPrefix(r.URL.RawPath, s.BasePath)
		}
		h.ServeHTTP(w, r)
	})
}

// plainPaths has no page at a path with detours. The mux would redirect it to a clean one, without the base
// path, and the beginning of a path decides what is open to all.
func (s *site) plainPaths(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plain(r.URL.Path) || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
			s.fail(w, r, noPage)
			return
		}
		h.ServeHTTP(w, r)
	})
}

var noPage = failure{Status: http.StatusNotFound, Title: "There is no such page",
	Means: "The address is not one of this site, or what it named is gone.", Do: "Check the address, or start from the beginning of the site."}

func (s *site) noSuchPage(http.ResponseWriter, *http.Request) error { return noPage }

// reads reports whether a request only asks to see something.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// withMethods answers a method that a path does not have in words; the mux would in plain text.
func withMethods(mux *http.ServeMux, s *site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "/" {
			mux.ServeHTTP(w, r)
			return
		}
		allowed := allowedMethods(mux, r)
		if len(allowed) == 0 {
			mux.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.fail(w, r, failure{Status: http.StatusMethodNotAllowed, Title: "This address does not take such requests",
			Means: "It takes " + strings.Join(allowed, " and ") + " only. Nothing was changed.", Do: "Use the buttons and links of the pages."})
	})
}

func allowedMethods(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// plain reports whether a path is written without detours: no "//", no "/../", no control character.
func plain(p string) bool {
	clean := path.Clean(p)
	return strings.HasPrefix(p, "/") && p != "//" && (p == clean || p == clean+"/") && !strings.ContainsFunc(p, unicode.IsControl)
}
