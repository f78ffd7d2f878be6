package integration_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// pageRoutes are the paths that the page has for a method, as admin/admin.go names them.
func pageRoutes(t *testing.T, method string) (paths []string) {
	t.Helper()
	routes := text(t, "../admin/admin.go")
	if unread := regexp.MustCompile(`handle\("[A-Z]+ [^/].*`).FindString(routes); unread != "" {
		t.Fatalf("admin/admin.go does not write out the path of %s", unread)
	}
	for _, m := range regexp.MustCompile(`handle\("`+method+` (/[^"]*)"`).FindAllStringSubmatch(routes, -1) {
		if !strings.Contains(m[1], "{version}") {
			paths = append(paths, strings.ReplaceAll(m[1], "{$}", ""))
		}
	}
	if len(paths) == 0 {
		t.Fatalf("admin/admin.go names no %s", method)
	}
	return paths
}

// pageForm is a form of a page, as a browser sends it when nothing is changed.
type pageForm struct {
	action string
	fields url.Values
}

// postForms are the forms of a page that act.
func postForms(t *testing.T, page string) (forms []pageForm) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for node := range root.Descendants() {
		action, _ := attribute(node, "action")
		if method, _ := attribute(node, "method"); node.Data == "form" && method == "post" {
			forms = append(forms, pageForm{action, pressed(node)})
		}
	}
	return forms
}

// pressed are the fields of a form whose first button is pressed.
func pressed(form *html.Node) url.Values {
	fields := fieldsOf(form)
	for node := range form.Descendants() {
		if kind, _ := attribute(node, "type"); node.Type == html.ElementNode && node.Data == "button" && kind != "button" {
			if name, named := attribute(node, "name"); named {
				value, _ := attribute(node, "value")
				fields.Add(name, value)
			}
			break
		}
	}
	return fields
}

// doEverything opens each page, with each id where it names one, and sends each form that it finds. Each answer is
// passed on.
func (p *pageProcess) doEverything(t *testing.T, ids []int64, answered func(what string, status int, text string)) {
	t.Helper()
	sent := map[string]bool{}
	for _, route := range pageRoutes(t, "GET") {
		for _, id := range ids {
			path := strings.ReplaceAll(route, "{id}", fmt.Sprint(id))
			status, page := p.get(path)
			answered("GET "+path, status, page)
			if status != 200 || route == "/logout" {
				continue
			}
			for _, form := range postForms(t, page) {
				status, to := p.post(form.action, form.fields)
				answered("POST "+form.action, status, to)
				sent[form.action] = true
				if status == 303 {
					status, page := p.get(strings.TrimPrefix(to, strings.TrimSuffix(p.line, "/")))
					answered("GET "+to, status, page)
				}
			}
			if path == route {
				break
			}
		}
	}
	for _, route := range pageRoutes(t, "POST") { // what no page offers for these events
		for _, id := range ids {
			path := strings.ReplaceAll(route, "{id}", fmt.Sprint(id))
			if !sent[path] {
				status, to := p.post(path, url.Values{})
				answered("POST "+path, status, to)
			}
		}
	}
}

// With the two roles that it needs every page is shown, and every form is answered in words.
func TestPage_EverythingIsDoneWithItsRolesOnly(t *testing.T) {
	t.Parallel()
	db := withRoles(t, newReceiver(t, nil).URL)
	var ids []int64
	for _, state := range []string{"sent", "failed", "skipped", "cancelled"} {
		ids = append(ids, db.inState(state, "contact.created", `{"contact_id": 7}`))
	}
	ids = append(ids, db.publish("contact.created", `{"contact_id": 8}`), db.document("42"), 1<<40)
	p := startPage(t, settings{"DATABASE_URL": pageRole(t, db).address})
	answers := 0
	p.doEverything(t, ids, func(what string, status int, text string) {
		answers++
		if status >= 500 || status == 405 || strings.Contains(text, "permission denied") {
			t.Errorf("%s: status %d: %s", what, status, text)
		}
	})
	if answers < 30 || p.said(`"page failed`) > 0 {
		t.Errorf("%d answers: %s", answers, p.log)
	}
}
