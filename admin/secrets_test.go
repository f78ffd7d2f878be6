package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// secretsFake makes secrets; away: it does not answer.
type secretsFake struct {
	Store
	away bool
	made int
}

func (f *secretsFake) Secrets(context.Context) ([]Secret, error) {
	if f.away {
		return nil, ErrUnavailable
	}
	return nil, nil
}

func (f *secretsFake) PlainSecrets(context.Context) ([]string, error) { return nil, nil }

func (f *secretsFake) MakeSecret(context.Context, string, string, time.Duration) (int64, string, error) {
	f.made++
	return 1, "whsec_geheim", nil
}

// A new secret is lost neither to a page that fails nor to a request for the headers alone, and another person
// with the address does not get it.
func TestSecrets_WaitForThePageThatShowsThem(t *testing.T) {
	store := &secretsFake{}
	s, _ := newTestSite(behindTrustedProxy())
	s.store = store
	h := s.around(s.routes())
	as := func(user string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = "10.1.2.3:50000"
			r.Header.Set("X-Forwarded-User", user)
		}
	}
	made := answer(h, request("POST", secretsPath, url.Values{"kind": {"hmac"}, "overlap": {"24h"}}, as("Jane")))
	to := made.Header.Get("Location")
	if made.StatusCode != http.StatusSeeOther || strings.Contains(to, "geheim") {
		t.Fatalf("status %d to %s: %s", made.StatusCode, to, made.text)
	}
	store.away = true
	isPage(t, "no database", answer(h, request("GET", to, nil, as("Jane"))), 503, "does not answer")
	store.away = false
	answer(h, request("HEAD", to, nil, as("Jane")))
	if other := answer(h, request("GET", to, nil, as("Tom"))); other.StatusCode != 200 || strings.Contains(other.text, "geheim") {
		t.Errorf("another person: status %d: %s", other.StatusCode, other.text)
	}
	isPage(t, "who has made it", answer(h, request("GET", to, nil, as("Jane"))), 200, "whsec_geheim")
	if again := answer(h, request("GET", to, nil, as("Jane"))); strings.Contains(again.text, "geheim") || !strings.Contains(again.text, "not shown again") {
		t.Errorf("again: %s", again.text)
	}
}

// An overlap that is there twice may be the one that ends all others at once.
func TestSecrets_AForgedFormMakesNone(t *testing.T) {
	store := &secretsFake{}
	s, _ := newTestSite(onLoopback())
	s.store = store
	for _, body := range []string{"", "kind=hmac", "overlap=24h", "kind=fax&overlap=24h", "kind=hmac&overlap=1s", "kind=hmac&kind=ed25519&overlap=24h",
		"kind=hmac&overlap=24h&overlap=0", "kind=hmac&overlap=24h&x=1"} {
		form, _ := url.ParseQuery(body)
		isPage(t, body, answer(s.around(s.routes()), request("POST", secretsPath, form, nil)), 422, "No secret was made")
	}
	if store.made != 0 {
		t.Errorf("%d were made", store.made)
	}
}
