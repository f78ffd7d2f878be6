package integration_test

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
)

// pageRules is what each page must fulfil, as a function of JavaScript.
//
//go:embed testdata/page_rules.js
var pageRules string

// A view is a window and what the person's system prefers.
type view struct {
	name, theme string
	width       int64
	zoom        float64
}

// screens are those in which each page must fulfil the rules. 640 px at zoom 2 is a window of 1280 px at 200 %; 320 px is
// what remains at 400 % (WCAG 1.4.10).
var screens = []view{
	{"1280-light", "light", 1280, 1},
	{"1280-dark", "dark", 1280, 1},
	{"390-light", "light", 390, 1},
	{"390-dark", "dark", 390, 1},
	{"200-percent", "light", 640, 2},
	{"400-percent", "light", 320, 4},
}

// look sets the window and the preferences of a view. Nothing moves, so that what is measured is what stays.
func (p *tab) look(v view) {
	p.t.Helper()
	p.screen(v.width, v.zoom)
	p.prefers("color-scheme", v.theme, "reduced-motion", "reduce")
}

// maxFaults is how many faults of a page are listed.
const maxFaults = 20

// follows checks that the page, as it is, follows the rules in each view, and that the browser had nothing to
// complain about.
func (p *tab) follows() {
	p.t.Helper()
	byFault := map[string][]string{}
	var order []string
	for _, v := range screens {
		p.look(v)
		for _, fault := range p.broken(v) {
			if byFault[fault] == nil {
				order = append(order, fault)
			}
			if !slices.Contains(byFault[fault], v.name) {
				byFault[fault] = append(byFault[fault], v.name)
			}
		}
	}
	p.look(screens[0])
	if len(order) == 0 {
		return
	}
	var list strings.Builder
	for i, fault := range order {
		if i == maxFaults {
			fmt.Fprintf(&list, "\n  and %d more", len(order)-i)
			break
		}
		fmt.Fprintf(&list, "\n  %s (%s)", fault, strings.Join(byFault[fault], ", "))
	}
	p.errorf("%s breaks the rules of testdata/page_rules.js:%s", p.path(), &list)
}

// broken returns the faults of the page in the present view. Names are those of a window, whatever its theme: their
// list, with all nodes of the page, costs as much as the other rules.
func (p *tab) broken(v view) (faults []string) {
	p.t.Helper()
	names := func() []string { return nil }
	if v.theme == "light" {
		names = p.nameless
	}
	p.key("\t") // from now on a focus is one of the keyboard's, which is shown
	const whole = `document.readyState === "complete" && document.querySelector("main") ? performance.timeOrigin : 0`
	rules := fmt.Sprintf("(%s)(%t)", strings.TrimSpace(pageRules), v.width < 500)
	for range 5 { // a page that waits loads itself again, perhaps just now
		before := settled[float64](p, whole)
		found := settled[[]string](p, rules)
		if before != 0 && settled[float64](p, whole) == before {
			return append(append(found, names()...), p.faults()...)
		}
		p.eventually("the page is loaded", func() bool { return settled[string](p, `document.readyState`) == "complete" })
	}
	faults = append(faults, evaluate[[]string](p, rules)...)
	faults = append(faults, names()...)
	return append(faults, p.faults()...)
}

// rolesWithName are the roles of what a person uses, as Chromium writes them.
var rolesWithName = []string{"button", "link", "textbox", "searchbox", "checkbox", "switch", "radio", "combobox", "listbox", "spinbutton", "slider",
	"Date", "DateTime", "InputTime", "DisclosureTriangle", "dialog", "img", "image", "radiogroup"}

// nameless are the controls that a screen reader has no name for.
func (p *tab) nameless() (faults []string) {
	p.t.Helper()
	for _, node := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored || axText(node.Name) != "" || !slices.Contains(rolesWithName, axText(node.Role)) {
			continue
		}
		object := call(p, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node.BackendDOMNodeID}).Object
		faults = append(faults, fmt.Sprintf("name: a %s without a name at %s", axText(node.Role),
			ask[string](element{scope: p.scope, object: object.ObjectID}, `function() { return this.outerHTML.slice(0, 120) }`)))
	}
	return faults
}

// goodPage is a page that follows all rules; each case below breaks one.
const goodPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Good</title>
<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/style.css"></head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header><nav aria-label="Pages"><a class="button" href="/">Home</a></nav></header>
<main id="main">
<h1>A good page</h1>
<p class="quiet">With a sentence <a href="/">and a link</a>.</p>
<form method="post">
<fieldset><legend>Documents</legend>
<label for="url">URL</label><input id="url" name="url" aria-describedby="about-url"><p id="about-url">Where it goes.</p>
<label><input type="checkbox" name="on"> Enabled</label>
</fieldset>
<button>Save</button>
<button disabled class="quiet" aria-describedby="why">Send</button> <span id="why">There is no URL.</span>
</form>
<table><caption>Rows</caption><thead><tr><th scope="col">When</th></tr></thead><tbody><tr><td>now</td></tr></tbody></table>
<svg role="img" aria-label="A chart" viewBox="0 0 10 10" width="100" height="100"><rect width="5" height="5"></rect></svg>
</main>
</body>
</html>`

const goodStyle = `:root { color-scheme: light dark } body { font: 16px sans-serif; background: #fff; color: #222; margin: 8px }
main { max-width: 30rem } a { color: #0b4fd0 } p { color: oklch(0.35 0 0) } .half { opacity: .4 } .image { background-image: linear-gradient(red, blue) }
.skip { position: absolute; top: -80px; padding: 12px } .skip:focus { top: 0 }
a.button, input:not([type=checkbox]), button, select, summary, label:has([type=checkbox]) { display: inline-flex; min-height: 44px; min-width: 44px; box-sizing: border-box; align-items: center }
input, button { border: 1px solid #767676; background: #fff; color: #222; font: inherit; transition: border-color 5s } input[type=checkbox] { transition: none }
button.pale, input.pale { border-color: #ccc } .small { min-height: 10px !important; min-width: 10px !important; padding: 0; font-size: 6px }
.pale-text { color: #999 } .pale-hint::placeholder { color: #dcdcdc } .blind:focus { outline: none } .wide { width: 2000px } .moved { order: 1 } .unseen { visibility: hidden }
:focus-visible { outline: 3px solid #0b4fd0 } .faint-ring:focus { outline-color: #ddd }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee } a { color: #9bf } p { color: #ddd } .day { color: #333 }
  input, button { background: #111; color: #eee } :focus-visible { outline-color: #9bf } }`

const goodIcon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>`

// pageOf serves a page under its Content-Security-Policy.
func pageOf(t testing.TB, html string) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, text := "text/html; charset=utf-8", html
		switch r.URL.Path {
		case "/static/style.css":
			kind, text = "text/css", goodStyle
		case "/static/icon.svg":
			kind, text = "image/svg+xml", goodIcon
		case "/static/loud.js":
			kind, text = "text/javascript", `console.error("loud")`
		case "/static/broken.js":
			kind, text = "text/javascript", `nothing.at.all()`
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'")
		if strings.HasPrefix(r.URL.Path, "/static/missing") {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(site.Close)
	return site.URL
}

func TestBrowserRules_PassAGoodPage(t *testing.T) {
	t.Parallel()
	p := newTab(t, pageOf(t, goodPage))
	p.open("/")
	p.follows()
}

// TestBrowserRules_FindEachFault: the rules can fail. Each case is the good page with one fault.
func TestBrowserRules_FindEachFault(t *testing.T) {
	t.Parallel()
	p := newTab(t, "about:blank")
	untried := map[string]bool{}
	for _, rule := range regexp.MustCompile(`fault\("(\w+)"`).FindAllStringSubmatch(pageRules, -1) {
		untried[rule[1]] = true
	}
	for _, c := range []struct {
		fault    string // the beginning of what must be found, in one of the views
		old, new string // what is replaced
	}{
		{"lang: ", `<html lang="en">`, `<html>`},
		{"title: ", `<title>Good</title>`, `<title> </title>`},
		{"viewport: no meta", `width=device-width, `, ``},
		{"viewport: a person may not zoom", `initial-scale=1`, `initial-scale=1, user-scalable=no`},
		{"h1: 0", `<h1>A good page</h1>`, `<h2>A good page</h2>`},
		{"h1: 2", `</main>`, `<h1>Another</h1></main>`},
		{"heading: ", `</main>`, `<h3>Too deep</h3></main>`},
		{"landmark: 0 main", `<main id="main">`, `<div id="main">`},
		{"landmark: no header", `<header>`, `<div>`},
		{"landmark: one of several nav", `</header>`, `<nav><a class="button" href="/">Other</a></nav></header>`},
		{"landmark: outside", `</main>`, `</main><form></form>`},
		{"skip: ", `<a class="skip" href="#main">Skip to content</a>`, ``},
		{"id: 2 elements have the id url", `<p id="about-url">`, `<p id="about-url"><span id="url">`},
		{"reference: aria-describedby", `id="about-url"`, `id="about"`},
		{"reference: #main", `id="main"`, `id="start"`},
		{"reference: an invalid field", ` aria-describedby="about-url"`, ` aria-invalid="true"`},
		{"image: no text", `</main>`, `<img src="/static/icon.svg"></main>`},
		{"image: neither", ` role="img" aria-label="A chart"`, ``},
		{"table: no heading", `<th scope="col">When</th>`, `<td>When</td>`},
		{"table: a heading cell", ` scope="col"`, ``},
		{"nesting: ", `<button>Save</button>`, `<a href="/"><button>Save</button></a>`},
		{"inline: inline style", `<p class="quiet">`, `<p class="quiet" style="color: red">`},
		{"inline: inline style", `<h1>`, `<script>1</script><h1>`},
		{"inline: onclick", `<button>`, `<button onclick="1">`},
		{"inline: href", `href="/">and`, `href="javascript:1">and`},
		{"sideways: ", `<p class="quiet">`, `<p class="quiet wide">`},
		{"contrast: 2.85 of 4.5", `<p class="quiet">`, `<p class="pale-text">`},
		{"contrast: ", `<p class="quiet">`, `<p class="half">`},
		{"contrast: text on an image", `<p class="quiet">`, `<p class="image">`},
		{"contrast: ", `<p class="quiet">`, `<p class="day">`},
		{"contrast: ", `<input id="url"`, `<input class="pale-text" id="url"`},
		{"contrast: 1.37 of 4.5", `<input id="url"`, `<input placeholder="https://" class="pale-hint" id="url"`},
		{"contrast: ", `</svg>`, `<text class="pale-text" y="9" fill="#bbb">words</text></svg>`},
		{"edge: ", `<input id="url"`, `<input class="pale" id="url"`},
		{"edge: ", `<button>`, `<button class="pale">`},
		{"order: ", `<button>`, `<button tabindex="2">`},
		{"focus: looks the same", `<button>`, `<button class="blind">`},
		{"focus: the ring", `<button>`, `<button class="faint-ring">`},
		{"target: 17 × 10 px of 24", `<button>`, `<button class="small">`},
		{"name: a button", `<button>Save</button>`, `<button></button>`},
		{"name: a textbox", `<label for="url">URL</label>`, `URL`},
		{"name: a link", `>and a link<`, `><`},
		{"the Content-Security-Policy was violated", `<h1>`, `<script>1</script><h1>`},
		{"a request to another origin: http://127.0.0.1:9/", `</head>`, `<link rel="stylesheet" href="http://127.0.0.1:9/x.css"></head>`},
		{"the console's error: \"loud\"", `</head>`, `<script src="/static/loud.js"></script></head>`},
		{"an exception: ReferenceError", `</head>`, `<script src="/static/broken.js"></script></head>`},
		{"the log: Failed to load resource", `</head>`, `<link rel="stylesheet" href="/static/missing.css"></head>`},
	} {
		rule, _, _ := strings.Cut(c.fault, ":")
		delete(untried, rule)
		if !strings.Contains(goodPage, c.old) {
			t.Errorf("the good page has no %s", c.old)
			continue
		}
		site := pageOf(t, strings.Replace(goodPage, c.old, c.new, 1))
		p.base, p.seen.site = site, site
		p.faults()
		p.open("/")
		if found := p.inAnyView(c.fault); found != "" {
			t.Errorf("%s was not found where %s replaces %s; found: %s", c.fault, c.new, c.old, found)
		}
	}
	for rule := range untried {
		t.Errorf("no case breaks the rule %s", rule)
	}
}

// inAnyView looks for a fault in a desktop's view in both themes, and on a phone; "" if it is there, else what was found.
func (p *tab) inAnyView(fault string) (instead string) {
	var found []string
	for _, v := range screens[:3] {
		p.look(v)
		found = append(found, p.broken(v)...)
		if slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, fault) }) {
			return ""
		}
	}
	return fmt.Sprintf("%q", found)
}
