package sender

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/signature"
)

// signedRequest is a request as a receiver has read it.
type signedRequest struct {
	header http.Header
	body   []byte
}

// at is its timestamp.
func (r signedRequest) at(t *testing.T) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		t.Fatalf("webhook-timestamp: %v", err)
	}
	return time.Unix(seconds, 0)
}

// keeping is a receiver that keeps what it reads.
func keeping(t *testing.T) (url string, got func() []signedRequest) {
	t.Helper()
	var all []signedRequest // Send returns after the answer, so nothing is read while it is written
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all = append(all, signedRequest{r.Header.Clone(), body})
	})
	return srv.URL, func() []signedRequest { return all }
}

// The specification's own library judges, with the clock of each attempt.
func TestSign_EachAttemptVerifiesByItsOwnTime(t *testing.T) {
	secret := signature.NewSecret(signature.HMAC)
	url, got := keeping(t)
	s := newSender(t, 10*time.Second)
	now := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC) // synctest's clock begins an hour earlier
	s.now = func() time.Time { return now }
	req := newRequest(url)
	req.Secrets, req.Body = secret, []byte(`{"amount":12500.00,"b":"<é>"}`)
	began := now
	for now.Sub(began) <= 20*time.Minute {
		send(t, s, req)
		now = now.Add(10 * time.Second)
	}
	now = now.Add(3 * 24 * time.Hour) // a person resends it
	send(t, s, req)

	requests := got()
	if len(requests) != 122 {
		t.Fatalf("%d requests", len(requests))
	}
	oracle, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for i, r := range requests {
			want := began.Add(time.Duration(i) * 10 * time.Second)
			if i == len(requests)-1 {
				want = now
			}
			if !r.at(t).Equal(want) || r.header.Get("webhook-id") != req.WebhookID {
				t.Errorf("attempt %d is of %s under %s, expected %s", i, r.at(t), r.header.Get("webhook-id"), want)
			}
			time.Sleep(time.Until(want))
			if err := oracle.Verify(r.body, r.header); err != nil {
				t.Errorf("attempt %d: %v", i, err)
			}
			if i == 0 {
				time.Sleep(5*time.Minute + time.Second)
				if err := oracle.Verify(r.body, r.header); err == nil {
					t.Error("the oracle accepts what is too old, and would not notice a time that is used again")
				}
			}
		}
	})
}

// A connection may take half a minute, and a receiver accepts five.
func TestSign_IsOfTheInstantInWhichTheRequestIsWritten(t *testing.T) {
	s := newSender(t, 10*time.Second)
	now := time.Unix(1_700_000_000, 0)
	s.now = func() time.Time { return now }
	s.dialer.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		now = now.Add(29 * time.Second)
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	url, got := keeping(t)
	req := newRequest(url)
	req.Secrets = signature.NewSecret(signature.HMAC)
	send(t, s, req)
	if at := got()[0].at(t).Unix(); at != 1_700_000_029 {
		t.Errorf("signed at %d", at)
	}
}

func TestSign_EachSecretSignsTheBytesOnTheWire(t *testing.T) {
	url, got := keeping(t)
	s := newSender(t, 10*time.Second)
	secrets := []string{signature.NewSecret(signature.HMAC), signature.NewSecret(signature.HMAC), signature.NewSecret(signature.Ed25519)}
	for _, body := range []string{``, `{}`, " {\"a\" : 1.0}\n", `"` + strings.Repeat("é", 1<<20) + `"`} {
		req := newRequest(url)
		req.Secrets, req.Body = strings.Join(secrets, " "), []byte(body)
		send(t, s, req)
		all := got()
		r := all[len(all)-1]
		if !bytes.Equal(r.body, req.Body) {
			t.Errorf("%d bytes arrived as %d", len(req.Body), len(r.body))
		}
		if n := len(strings.Split(r.header.Get("webhook-signature"), " ")); n != 3 {
			t.Errorf("%d signatures", n)
		}
		for i, secret := range secrets {
			key, err := signature.Parse(secret)
			if err != nil {
				t.Fatal(err)
			}
			v := signature.Verifier{Keys: []*signature.Key{key}, Now: time.Now}
			if err := v.Verify(r.header, r.body); err != nil {
				t.Errorf("secret %d, %d bytes: %v", i, len(body), err)
			}
		}
	}
}

func TestSign_WithoutASecretThereIsNoSuchHeader(t *testing.T) {
	url, got := keeping(t)
	send(t, newSender(t, 10*time.Second), newRequest(url))
	for _, name := range []string{"webhook-timestamp", "webhook-signature"} {
		if value, there := got()[0].header[http.CanonicalHeaderKey(name)]; there {
			t.Errorf("%s: %q", name, value)
		}
	}
}

func TestSign_ASecretThatIsUnusableIsNotSilentlyLeftOut(t *testing.T) {
	s := newSender(t, 10*time.Second)
	good := signature.NewSecret(signature.HMAC)
	for _, bad := range []string{"whsec_", "whsec_AAAA", good[:len(good)-2], "geheim", "whpk_" + strings.Repeat("A", 43) + "="} {
		req := newRequest("https://h.example")
		req.Secrets = good + " " + bad
		got := send(t, s, req)
		failsWith(t, got, "cannot call: signing secret 2 of 2: ", "nothing was sent")
		if got.Failure != outbox.FailureConfig || s.Check(req.URL, "", req.Secrets) == nil || strings.Contains(got.Error, bad[6:]) && bad[6:] != "" {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

func TestSign_SecretsAreMaskedInAnswers(t *testing.T) {
	secret := signature.NewSecret(signature.HMAC)
	for _, shown := range []string{secret, strings.TrimPrefix(secret, "whsec_"), strings.ToUpper(secret)} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprintf(w, "expected %s here", shown)
		})
		req := newRequest(srv.URL)
		req.Secrets = signature.NewSecret(signature.Ed25519) + " " + secret
		if got := send(t, newSender(t, 10*time.Second), req); got.Response != "expected *** here" {
			t.Errorf("the answer is stored as %q", got.Response)
		}
	}
}
