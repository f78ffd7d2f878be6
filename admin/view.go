package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"go.uber.org/zap"
)

//go:embed templates static
var files embed.FS

// view is what the frame around each page shows, and Body what the page itself does.
type view struct {
	Title    string
	Path     string // of this page, without the base path
	Base     string // the base path
	Static   string // the path of the static files
	User     string
	Version  string
	LoggedIn bool // there is a session to be ended
	ReadOnly bool
	Refresh  int // seconds until the browser loads the page again; 0: never
	Body     any
}

// templates are the pages, each with the frame and the parts that pages share.
var templates = parseTemplates()

func parseTemplates() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(words).ParseFS(files, "templates/frame.html", "templates/parts_*.html"))
	pages := map[string]*template.Template{}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is malformed
	}
	for _, name := range names {
		base := path.Base(name)
		if base == "frame.html" || strings.HasPrefix(base, "parts_") {
			continue
		}
		pages[base] = template.Must(template.Must(shared.Clone()).ParseFS(files, name))
	}
	return pages
}

// render answers with a page: whole, or not at all.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	s.renderView(w, r, status, name, view{Title: title, Body: body})
}

// renderView is render for a page that sets more of its frame.
func (s *site) renderView(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Path, v.Base, v.Static, v.User, v.Version = r.URL.Path, s.BasePath, s.BasePath+"/static/"+staticVersion, userOf(r), s.Version
	v.LoggedIn, v.ReadOnly = s.PasswordHash != nil && v.User != "", s.ReadOnly
	var page bytes.Buffer
	if err := templates[name].ExecuteTemplate(&page, "frame", v); err != nil {
		s.log.Error("page failed", zap.String("path", r.URL.Path), zap.Error(err))
		http.Error(w, "This page failed. Try again; if it stays so, tell the operator.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Refresh > 0 {
		w.Header().Set("Refresh", fmt.Sprint(v.Refresh))
	}
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}

// staticVersion is a sum of all static files: their addresses change with their content, so that a browser may
// keep them.
var staticVersion = sumOf("static")

func sumOf(dir string) string {
	sum := sha256.New()
	err := fs.WalkDir(files, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

var staticKinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (s *site) static(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	text, err := files.ReadFile("static/" + name)
	if err != nil {
		return s.noSuchPage(w, r)
	}
	if kind := staticKinds[path.Ext(name)]; kind != "" { // some machines have others
		w.Header().Set("Content-Type", kind)
	}
	w.Header().Set("Cache-Control", "no-cache")
	if r.PathValue("version") == staticVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	return nil
}
