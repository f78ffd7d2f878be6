package integration_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// shownPage is a page, as a person without a browser's script sees it.
type shownPage struct {
	t        testing.TB
	site     *site
	status   int
	location string // of a redirect
	source   string
	doc      *html.Node
}

// site is the page's process, and who asks it.
type site struct {
	t       testing.TB
	address string
	client  *http.Client
}

func newSite(t testing.TB, db *database, env settings) *site {
	t.Helper()
	return siteAt(t, servePage(t, db, env))
}

func siteAt(t testing.TB, address string) *site {
	return &site{t, address, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *site) get(path string) *shownPage {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", nil)
}

func (s *site) post(path string, form url.Values) *shownPage {
	s.t.Helper()
	return s.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (s *site) do(method, path, contentType string, body io.Reader) *shownPage {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.address+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	source, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(source)))
	if err != nil {
		s.t.Fatal(err)
	}
	return &shownPage{s.t, s, resp.StatusCode, resp.Header.Get("Location"), string(source), doc}
}

// follow is the page to which an action leads.
func (p *shownPage) follow() *shownPage {
	p.t.Helper()
	if p.status != http.StatusSeeOther {
		p.t.Fatalf("status %d, a redirect was expected: %s", p.status, p.text())
	}
	return p.site.get(p.location)
}

// text is what is to be read on it, its white space collapsed.
func (p *shownPage) text() string {
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "main" {
			return textOf(n)
		}
	}
	return textOf(p.doc)
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return spaced(b.String())
}

func attribute(n *html.Node, name string) (value string, has bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// form are the values that the browser would send from the form with this action.
func (p *shownPage) form(action string) url.Values {
	p.t.Helper()
	for n := range p.doc.Descendants() {
		if to, _ := attribute(n, "action"); n.Type == html.ElementNode && n.Data == "form" && to == action {
			return fieldsOf(n)
		}
	}
	p.t.Fatalf("no form for %s on: %s", action, p.text())
	return nil
}

func fieldsOf(form *html.Node) url.Values {
	values := url.Values{}
	for n := range form.Descendants() {
		name, _ := attribute(n, "name")
		kind, _ := attribute(n, "type")
		_, checked := attribute(n, "checked")
		if n.Type == html.ElementNode && n.Data == "input" && name != "" && (checked || kind != "checkbox" && kind != "radio") {
			value, _ := attribute(n, "value")
			values.Add(name, value)
		}
	}
	return values
}

// wrong is what the page says is wrong with a field, which must be marked so for screen readers as well.
func (p *shownPage) wrong(name string) (said string) {
	p.t.Helper()
	for n := range p.doc.Descendants() {
		if of, _ := attribute(n, "name"); n.Type != html.ElementNode || n.Data != "input" || of != name {
			continue
		}
		if invalid, _ := attribute(n, "aria-invalid"); invalid != "true" {
			continue
		}
		described, _ := attribute(n, "aria-describedby")
		for id := range strings.FieldsSeq(described) {
			if strings.HasSuffix(id, "-wrong") {
				said += p.withID(id)
			}
		}
	}
	return said
}

func (p *shownPage) withID(id string) string {
	p.t.Helper()
	for n := range p.doc.Descendants() {
		if has, _ := attribute(n, "id"); n.Type == html.ElementNode && has == id {
			return textOf(n)
		}
	}
	p.t.Errorf("the page has no element %s", id)
	return ""
}
