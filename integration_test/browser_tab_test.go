package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	issues "github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// stepLimit is how long one step of a person may take. It is far above what any takes.
const stepLimit = time.Minute

// A tab is one person at one browser: cookies of their own, and a page.
type tab struct {
	scope
	t    testing.TB
	ctx  context.Context
	base string // scheme and host of the site
	seen *observed
	kept bool // a screenshot of the failure has been kept
}

// observed is what the browser said about a tab. It is written by the goroutine that reads from the browser.
type observed struct {
	mu     sync.Mutex
	status int // of the newest document
	faults []string
	site   string   // requests to other origins are faults
	asked  []string // by dialogs of the browser, such as that of unsaved changes; all are answered with yes
	answer func()
}

// newTab opens a tab on a site, for a person who has not been there, 1280 px wide.
func newTab(t testing.TB, site string) *tab {
	t.Helper()
	return openTab(openBrowser(t), t, site)
}

// another is a second person on the same site.
func (p *tab) another() *tab {
	p.t.Helper()
	return openTab(chromium.ctx, p.t, p.base)
}

func openTab(browser context.Context, t testing.TB, site string) *tab {
	t.Helper()
	seen := &observed{site: origin(site)}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(seen.event))
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx, base: strings.TrimSuffix(site, "/"), seen: seen}
	p.scope = scope{tab: p}
	seen.answer = func() {
		_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	}
	if err := chromedp.Do(ctx); err != nil { // opens it; its context must not end before the test
		t.Fatalf("open a tab: %v", err)
	}
	call(p, issues.Enable, cdp.Empty{})
	// Each tab behaves as the one in front, whichever is.
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.screen(1280, 1)
	return p
}

// origin is scheme and host of an address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) (result R) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.fatalf("%s: %v", command.Method, err)
	}
	return result
}

// evaluate runs JavaScript in the page, also where the page's own is off.
func evaluate[T any](p *tab, script string) (value T) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.fatalf("evaluate %.80s: %v", script, err)
	}
	return value
}

// open goes to a path and waits until the page is loaded. A page that loads itself again while
// something waits may do so at this very instant and end the way to the next one; the way is then
// taken again, from a page that has just been loaded.
func (p *tab) open(path string) {
	p.t.Helper()
	p.loading("open "+path, func(ctx context.Context) error {
		for {
			result, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: p.base + path})
			if err == nil && result.ErrorText == "net::ERR_ABORTED" {
				continue
			}
			if err == nil && result.ErrorText != "" {
				err = errors.New(result.ErrorText)
			}
			return err
		}
	})
}

// loading does something that loads a page, and waits for that.
func (p *tab) loading(what string, do func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.WaitEvent(page.LoadEventFired, nil,
		func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) { return chromedp.Void{}, do(ctx) }))
	if err != nil {
		p.fatalf("%s: no page was loaded: %v", what, err)
	}
}

// eventually waits until the page holds what is asked for, over reloads.
func (p *tab) eventually(what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(stepLimit); !holds(); {
		if time.Now().After(deadline) {
			p.fatalf("not within %s: %s", stepLimit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settled runs JavaScript that may meet a page that is just being replaced; then it returns the zero value.
func settled[T any](p *tab, script string) (value T) {
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	value, _ = chromedp.Run(ctx, chromedp.Evaluate[T](script))
	return value
}

// sees waits for a text.
func (p *tab) sees(part string) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("%q is on the page", part), func() bool {
		return strings.Contains(spaced(settled[string](p, visibleText)), spaced(part))
	})
}

// lacks checks that a text is not on the page, neither to be seen nor in its source.
func (p *tab) lacks(part string) {
	p.t.Helper()
	if strings.Contains(p.text(), spaced(part)) || strings.Contains(evaluate[string](p, `document.documentElement.outerHTML`), part) {
		p.errorf("%q is on the page", part)
	}
}

const visibleText = `document.body ? document.body.innerText : ""`

// text is what a person reads on the page, with single spaces.
func (p *tab) text() string {
	p.t.Helper()
	return spaced(evaluate[string](p, visibleText))
}

func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }

// h1 is the page's heading.
func (p *tab) h1() string {
	p.t.Helper()
	return spaced(evaluate[string](p, `[...document.querySelectorAll("h1")].map((h) => h.innerText).join(" | ")`))
}

// path is where the page is, with its query.
func (p *tab) path() string {
	p.t.Helper()
	return evaluate[string](p, `location.pathname + location.search`)
}

// status is the HTTP status of the page.
func (p *tab) status() int {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	return p.seen.status
}

// asked returns what the browser asked the person since the last call.
func (p *tab) asked() []string {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	asked := p.seen.asked
	p.seen.asked = nil
	return asked
}

// screen sets the width of the window in CSS pixels and the zoom. A window of 640 px at zoom 2 is one of 1280 px in
// which a person has zoomed to 200 %.
func (p *tab) screen(width int64, zoom float64) {
	p.t.Helper()
	p.window(width, 800, zoom)
}

func (p *tab) window(width, height int64, zoom float64) {
	p.t.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: zoom, Mobile: width < 500})
}

// prefers sets what the person's system prefers: prefers("color-scheme", "dark", "reduced-motion", "reduce").
func (p *tab) prefers(pairs ...string) {
	p.t.Helper()
	var features []*emulation.MediaFeature
	for pair := range slices.Chunk(pairs, 2) {
		features = append(features, &emulation.MediaFeature{Name: "prefers-" + pair[0], Value: pair[1]})
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// withoutScript turns JavaScript off, from the next page on.
func (p *tab) withoutScript() {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// event notes what the browser reports.
func (o *observed) event(event any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		o.asked = append(o.asked, string(e.Type))
		go o.answer() // not from here: this is what reads the reply
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			o.status = int(e.Response.Status)
		}
	case *network.EventRequestWillBeSent:
		if to := origin(e.Request.URL); to != o.site && !strings.HasPrefix(to, "data:") {
			o.faults = append(o.faults, "a request to another origin: "+e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		o.faults = append(o.faults, "an exception: "+oneException(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			o.faults = append(o.faults, fmt.Sprintf("the console's %s: %s", e.Type, said(e.Args)))
		}
	case *log.EventEntryAdded:
		o.entry(e.Entry)
	case *issues.EventIssueAdded:
		if e.Issue.Code == issues.InspectorIssueCodeContentSecurityPolicyIssue {
			o.faults = append(o.faults, "the Content-Security-Policy was violated: "+compact(e.Issue.Details.ContentSecurityPolicyIssueDetails))
		}
	}
}

// entry notes an error of the browser's log. That a document has a status of 400 or more, which the log reports
// as an error of the network, is for the test to judge.
func (o *observed) entry(e *log.Entry) {
	document := e.Source == log.EntrySourceNetwork && strings.Contains(e.Text, "the server responded with a status of") && !strings.Contains(e.URL, "/static/") && !strings.Contains(e.URL, "favicon")
	if e.Level == log.EntryLevelError && !document {
		o.faults = append(o.faults, fmt.Sprintf("the log: %s (%s)", e.Text, e.URL))
	}
}

func oneException(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

func said(arguments []*runtime.RemoteObject) string {
	var words []string
	for _, a := range arguments {
		words = append(words, strings.TrimSpace(string(a.Value)+" "+a.Description))
	}
	return strings.Join(words, " ")
}

func compact(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// faults returns what the browser reported since the last call.
func (p *tab) faults() []string {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	faults := p.seen.faults
	p.seen.faults = nil
	return faults
}

// errorf fails the test, keeps a screenshot, and goes on.
func (p *tab) errorf(format string, args ...any) {
	p.t.Helper()
	p.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), p.evidence())
}

// fatalf fails the test, keeps a screenshot, and ends it.
func (p *tab) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), p.evidence())
}

// evidence is where the person was, what they saw, and the file of a screenshot: the first failure's of each tab.
func (p *tab) evidence() string {
	if p.kept {
		return ""
	}
	p.kept = true
	ctx, cancel := context.WithTimeout(p.ctx, stepLimit)
	defer cancel()
	where, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText.slice(0, 1500) : "")`))
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Sprintf("at %s\n(no screenshot: %v)", where, err)
	}
	dir, err := os.MkdirTemp("", "webhooks-page-")
	if err != nil {
		return fmt.Sprintf("at %s\n(no screenshot: %v)", where, err)
	}
	file := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(p.t.Name())+".png")
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		return fmt.Sprintf("at %s\n(no screenshot: %v)", where, err)
	}
	return fmt.Sprintf("at %s\nscreenshot: %s", where, file)
}
