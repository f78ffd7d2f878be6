package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A scope is a page, or a group of controls on it. What is in it is found by the name that the browser computes for
// assistive technology, from its label: by what a person hears or reads, and by nothing else.
type scope struct {
	tab  *tab
	name string // of the group; "" is the whole page
	root runtime.RemoteObjectID
}

// An element is one that was found.
type element struct {
	scope
	what   string // for failures
	object runtime.RemoteObjectID
}

// What kinds of elements there are, as selectors of CSS.
const (
	groups  = `fieldset, [role=group], [role=radiogroup], section, [role=region], form, table, tr, article, details`
	fields  = `input:not([type=hidden], [type=submit], [type=button], [type=checkbox], [type=radio]), textarea`
	ticks   = `input[type=checkbox], [role=switch]`
	radios  = `input[type=radio]`
	choices = `select`
	buttons = `button, input[type=submit], [role=button]`
	links   = `a[href]`
	folds   = `summary`
)

// group is the group with this name, such as the fieldset with this legend.
func (s scope) group(name string) scope {
	s.tab.t.Helper()
	e := s.find("group", groups, name)
	return scope{tab: s.tab, name: name, root: e.object}
}

// fill replaces what is in a field, as typing or pasting does.
func (s scope) fill(label, text string) {
	s.tab.t.Helper()
	e := s.find("field", fields, label)
	e.mustBeEnabled()
	ask[bool](e, `function() { this.scrollIntoView({block: "center", behavior: "instant"}); this.focus(); this.select(); return true }`)
	s.tab.key("\b") // inserting nothing would keep what is selected
	call(s.tab, input.InsertText, input.InsertTextParams{Text: text})
}

// value is what is in a field.
func (s scope) value(label string) string {
	s.tab.t.Helper()
	return ask[string](s.find("field", fields+", "+choices, label), `function() { return this.value }`)
}

// tick sets a check box by a click, if it is not as it should be.
func (s scope) tick(label string, on bool) {
	s.tab.t.Helper()
	e := s.find("check box", ticks, label)
	if s.ticked(label) == on {
		return
	}
	e.click()
	if s.ticked(label) != on {
		s.tab.fatalf("%s does not change when it is clicked", e.what)
	}
}

// ticked reports whether a check box is ticked.
func (s scope) ticked(label string) bool {
	s.tab.t.Helper()
	return ask[bool](s.find("check box", ticks, label), `function() { return this.checked ?? this.ariaChecked === "true" }`)
}

// choose clicks a radio button.
func (s scope) choose(label string) {
	s.tab.t.Helper()
	s.find("radio button", radios, label).click()
	if !s.chosen(label) {
		s.tab.fatalf("the radio button %q is not chosen after a click", label)
	}
}

// chosen reports whether a radio button is chosen.
func (s scope) chosen(label string) bool {
	s.tab.t.Helper()
	return ask[bool](s.find("radio button", radios, label), `function() { return this.checked }`)
}

// pick picks an entry of a list by its text.
func (s scope) pick(label, option string) {
	s.tab.t.Helper()
	e := s.find("list", choices, label)
	e.mustBeEnabled()
	if !ask[bool](e, `function(text) {
		const option = [...this.options].find((o) => o.label.trim() === text)
		if (!option) return false
		this.value = option.value
		this.dispatchEvent(new Event("input", {bubbles: true}))
		this.dispatchEvent(new Event("change", {bubbles: true}))
		return true }`, option) {
		s.tab.fatalf("%s has no entry %q", e.what, option)
	}
}

// press clicks a button and waits for the page that it leads to.
func (s scope) press(name string) {
	s.tab.t.Helper()
	e := s.find("button", buttons, name)
	s.tab.loading("press "+e.what, func(context.Context) error { e.click(); return nil })
}

// follow clicks a link and waits for the page that it leads to.
func (s scope) follow(name string) {
	s.tab.t.Helper()
	e := s.find("link", links, name)
	s.tab.loading("follow "+e.what, func(context.Context) error { e.click(); return nil })
}

// unfold opens what is folded away under a heading; it may be open already.
func (s scope) unfold(name string) {
	s.tab.t.Helper()
	e := s.find("fold", folds, name)
	if !ask[bool](e, `function() { return this.parentElement.open }`) {
		e.click()
	}
}

// disabled reports whether a button is disabled, and why, in the words that belong to it.
func (s scope) disabled(name string) (disabled bool, reason string) {
	s.tab.t.Helper()
	e := s.find("button", buttons, name)
	disabled = ask[bool](e, `function() { return this.disabled || this.ariaDisabled === "true" }`)
	return disabled, e.described()
}

// wrong is what is said to be wrong with a field: its description, if the field is marked as invalid.
func (s scope) wrong(label string) string {
	s.tab.t.Helper()
	e := s.find("field", fields+", "+ticks+", "+choices, label)
	if !ask[bool](e, `function() { return this.ariaInvalid === "true" }`) {
		return ""
	}
	return e.described()
}

// has reports whether there is such an element that a person can use.
func (s scope) has(kind, name string) bool {
	s.tab.t.Helper()
	return len(s.all(kind, name)) > 0
}

// find is the one element of a kind with this name that a person can use.
func (s scope) find(what, kind, name string) element {
	s.tab.t.Helper()
	found := s.all(kind, name)
	if len(found) != 1 {
		s.tab.fatalf("there are %d %ss named %q in %s, one was expected; there are: %s", len(found), what, name, s.where(), strings.Join(s.names(kind), ", "))
	}
	found[0].what = fmt.Sprintf("the %s %q in %s", what, name, s.where())
	return found[0]
}

func (s scope) where() string {
	if s.name == "" {
		return "the page"
	}
	return fmt.Sprintf("the group %q", s.name)
}

// all is each element of a kind with this name that a person can use.
func (s scope) all(kind, name string) (found []element) {
	s.tab.t.Helper()
	for _, node := range call(s.tab, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: s.object(), AccessibleName: name}).Nodes {
		if node.Ignored || node.BackendDOMNodeID == 0 {
			continue
		}
		object := call(s.tab, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node.BackendDOMNodeID}).Object
		e := element{scope: s, what: name, object: object.ObjectID}
		if ask[bool](e, `function(kind) { return this.nodeType === 1 && this.matches(kind) && this.checkVisibility({visibilityProperty: true}) }`, kind) {
			found = append(found, e)
		}
	}
	return found
}

// names are the names of the elements of a kind, for the message that one of them was not found.
func (s scope) names(kind string) (names []string) {
	for _, node := range call(s.tab, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: s.object()}).Nodes {
		if node.Ignored || node.BackendDOMNodeID == 0 || axText(node.Name) == "" {
			continue
		}
		e := element{scope: s, object: call(s.tab, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node.BackendDOMNodeID}).Object.ObjectID}
		if ask[bool](e, `function(kind) { return this.nodeType === 1 && this.matches(kind) }`, kind) {
			names = append(names, fmt.Sprintf("%q", axText(node.Name)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// object is where a scope begins.
func (s scope) object() runtime.RemoteObjectID {
	if s.root != "" {
		return s.root
	}
	return call(s.tab, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"}).Result.ObjectID
}

func axText(v *accessibility.Value) (text string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &text)
	}
	return spaced(text)
}

// described is the description of an element, which follows from aria-describedby.
func (e element) described() string {
	e.tab.t.Helper()
	for _, node := range call(e.tab, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: e.object, FetchRelatives: new(bool)}).Nodes {
		if text := axText(node.Description); text != "" {
			return text
		}
	}
	return ""
}

func (e element) mustBeEnabled() {
	e.tab.t.Helper()
	if ask[bool](e, `function() { return this.disabled || this.readOnly === true || this.ariaDisabled === "true" }`) {
		e.tab.fatalf("%s is disabled: %s", e.what, e.described())
	}
}

// click presses the mouse where the element is. It must not be covered there, except by its own label.
func (e element) click() {
	e.tab.t.Helper()
	e.mustBeEnabled()
	at := ask[struct {
		X, Y    float64
		Covered string
	}](e, `function() {
		this.scrollIntoView({block: "center", behavior: "instant"})
		const r = this.getClientRects()[0] ?? this.getBoundingClientRect()
		const x = r.left + r.width / 2, y = r.top + r.height / 2
		const top = document.elementFromPoint(x, y)
		const own = top && (this.contains(top) || [...(this.labels ?? [])].some((l) => l.contains(top)))
		return {X: x, Y: y, Covered: own ? "" : top ? top.outerHTML.slice(0, 200) : "the edge of the window"} }`)
	if at.Covered != "" {
		e.tab.fatalf("%s is covered by %s", e.what, at.Covered)
	}
	for _, event := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMouseMoved, input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		call(e.tab, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: event, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1})
	}
}

// ask calls a function of JavaScript on an element.
func ask[T any](e element, function string, arguments ...any) (value T) {
	e.tab.t.Helper()
	byValue := true
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: e.object, ReturnByValue: &byValue}
	for _, argument := range arguments {
		encoded, err := json.Marshal(argument)
		if err != nil {
			e.tab.t.Fatal(err)
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: encoded})
	}
	result := call(e.tab, runtime.CallFunctionOn, params)
	if result.ExceptionDetails != nil {
		e.tab.fatalf("%s: %s", e.what, oneException(result.ExceptionDetails))
	}
	if err := json.Unmarshal(result.Result.Value, &value); err != nil {
		e.tab.fatalf("%s: %v", e.what, err)
	}
	return value
}

// key presses keys, one after the other: "\t", kb.Enter, " ".
func (p *tab) key(keys string, options ...chromedp.KeyOption) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys, options...)); err != nil {
		p.fatalf("press a key: %v", err)
	}
}

// focused is the element that has the focus, as a screen reader names it: "button Save".
func (p *tab) focused() string {
	p.t.Helper()
	active := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"}).Result.ObjectID
	for _, node := range call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: active, FetchRelatives: new(bool)}).Nodes {
		if !node.Ignored {
			return spaced(axText(node.Role) + " " + axText(node.Name))
		}
	}
	return ""
}

// tabTo presses the tab key until an element has the focus, as a person without a mouse does.
func (p *tab) tabTo(focused string) {
	p.t.Helper()
	var passed []string
	for range 300 {
		if p.focused() == focused {
			return
		}
		p.key("\t")
		passed = append(passed, p.focused())
	}
	p.fatalf("the tab key never reaches %q; it reached: %s", focused, strings.Join(passed, ", "))
}
