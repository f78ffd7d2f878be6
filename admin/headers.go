package admin

import (
	"net/http"
	"time"
)

// requestTime bounds what the database takes for one page.
const requestTime = 10 * time.Second

// policy lets a page load its own style, script and nothing else: no inline code, no other origin, no
// frame, no way from text to script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers are those of each answer. A page holds payloads and URLs with keys: nothing stores it.
func (s *site) headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := w.Header().Set
		set("Content-Security-Policy", policy)
		set("X-Content-Type-Options", "nosniff")
		set("Referrer-Policy", "no-referrer")
		set("X-Frame-Options", "DENY")
		set("Cross-Origin-Opener-Policy", "same-origin")
		set("Cross-Origin-Resource-Policy", "same-origin")
		set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// sameOrigin refuses an action that another site has the browser send.
func (s *site) sameOrigin(h http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, failure{Status: http.StatusForbidden, Title: "This request came from another site",
			Means: "A browser sent it on behalf of a page of another origin. Nothing was changed.",
			Do:    "Open the page here and try again. Behind a proxy: it must pass on the header Host as the browser sent it."})
	}))
	return protection.Handler(h)
}
