package integration_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/admin"
)

// pageProcess is a running `webhooks admin`, or `webhooks run --admin`.
type pageProcess struct {
	*worker
	t    testing.TB
	line string       // the first line on standard output: where the page is
	http *http.Client // a browser of one person: it keeps cookies, and shows redirects
}

// startPage runs the page on a free port, and waits until it says where it is.
func startPage(t testing.TB, env settings, args ...string) *pageProcess {
	t.Helper()
	if len(args) == 0 {
		args = []string{"admin", "--listen", "127.0.0.1:0"}
	}
	w := &worker{cmd: program(t, env, args...), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stderr = w.log
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_ = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(w.kill)
	if err != nil {
		<-w.done
		t.Fatalf("it says no address: %v\n%s", err, w.log.String())
	}
	p := &pageProcess{worker: w, t: t, line: strings.TrimSuffix(line, "\n")}
	p.http = p.browser()
	return p
}

// browser is that of another person.
func (p *pageProcess) browser() *http.Client {
	jar, _ := cookiejar.New(nil) // it has no error
	transport := &http.Transport{}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Timeout: time.Minute, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get is a page as this person sees it.
func (p *pageProcess) get(path string) (status int, text string) {
	p.t.Helper()
	res, err := p.http.Get(strings.TrimSuffix(p.line, "/") + path)
	return p.read(res, err)
}

// post sends a form. A status of 303 comes with where it leads, instead of a text.
func (p *pageProcess) post(path string, form url.Values) (status int, text string) {
	p.t.Helper()
	res, err := p.http.PostForm(strings.TrimSuffix(p.line, "/")+path, form)
	return p.read(res, err)
}

func (p *pageProcess) read(res *http.Response, err error) (status int, text string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode == http.StatusSeeOther {
		return res.StatusCode, res.Header.Get("Location")
	}
	return res.StatusCode, string(body)
}

// pageRole is a role that may serve the page, and nothing of the worker's.
func pageRole(t *testing.T, db *database) *login {
	t.Helper()
	return loginRole(t, db, "webhook_reader", "webhook_admin")
}

func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := admin.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

var pageAddress = regexp.MustCompile(`^http://127\.0\.0\.1:[0-9]+/$`)
