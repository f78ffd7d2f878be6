package integration_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// secrets runs `webhooks secrets` and returns what it prints on standard output.
func secrets(t *testing.T, db *database, args ...string) string {
	t.Helper()
	out, errs, status := runProgram(t, quick(db.address), nil, append([]string{"secrets"}, args...)...)
	if status != 0 {
		t.Fatalf("webhooks secrets %v: exit status %d: %s", args, status, errs)
	}
	return strings.TrimSpace(out)
}

// verifies reports whether a request verifies, now, in the library of the specification.
func verifies(t *testing.T, r receipt, secret string) bool {
	t.Helper()
	oracle, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return oracle.Verify([]byte(r.body), r.header) == nil
}

func TestSign_ARetryAndAResendAreSignedAnewUnderTheSameID(t *testing.T) {
	t.Parallel()
	statuses := make(chan int, 3)
	statuses <- 503
	statuses <- 200
	statuses <- 200
	rcv := newReceiver(t, func(receipt) int { return <-statuses })
	db := ready(t, rcv.URL)
	secret := secrets(t, db, "new")
	id := db.publish("document.exported", exampleData(t, "document.exported"))
	answers := []string{"a first attempt", "a retry", "a resend"}
	for i, what := range answers {
		switch what {
		case "a retry":
			db.exec(`update webhook.outbox set due_at = now() where id = $1`, id)
		case "a resend":
			db.exec(`select webhook.retry($1)`, id)
		}
		db.once()
		got := rcv.of(id)
		if len(got) != i+1 {
			t.Fatalf("%s: %d requests", what, len(got))
		}
		if r := got[i]; !verifies(t, r, secret) || r.header.Get("webhook-id") != got[0].header.Get("webhook-id") || r.body != got[0].body {
			t.Errorf("%s: %v", what, r.header)
		}
		if i < len(answers)-1 { // the next second
			eventually(t, "another second begins", func() bool { return time.Now().Unix() > got[i].at.Unix() })
		}
	}
	all := rcv.of(id)
	for i := 1; i < len(all); i++ {
		if all[i].header.Get("webhook-timestamp") == all[i-1].header.Get("webhook-timestamp") || all[i].header.Get("webhook-signature") == all[i-1].header.Get("webhook-signature") {
			t.Errorf("%s has the time or the signature of the one before", answers[i])
		}
	}
}

func TestSign_ARotationHasNoGapAndARetiredSecretSignsNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	next := func() receipt {
		t.Helper()
		id := db.publish("contact.created", `{}`)
		db.once()
		got := rcv.of(id)
		if len(got) != 1 {
			t.Fatalf("%d requests", len(got))
		}
		return got[0]
	}
	if r := next(); r.header.Get("webhook-signature") != "" || r.header.Get("webhook-timestamp") != "" {
		t.Errorf("without a secret: %v", r.header)
	}
	first := secrets(t, db, "new")
	if r := next(); !verifies(t, r, first) {
		t.Error("the first secret does not sign")
	}
	second := secrets(t, db, "new", "--overlap", "36h")
	if r := next(); !verifies(t, r, first) || !verifies(t, r, second) {
		t.Error("during a rotation both sign")
	}
	if got := db.ask(`select string_agg(id || ' ' || coalesce(round(extract(epoch from ends_at - now()) / 3600)::text, 'no end'), ', ' order by id) from webhook.secrets`); got != "1 36, 2 no end" {
		t.Errorf("the ends are %s", got)
	}
	secrets(t, db, "retire", "1")
	if r := next(); verifies(t, r, first) || !verifies(t, r, second) {
		t.Error("a retired secret signs, or the other does not")
	}
	third := secrets(t, db, "new", "--overlap", "0s")
	if r := next(); verifies(t, r, second) || !verifies(t, r, third) {
		t.Error("without an overlap the older one ends at once")
	}
	db.exec(`update webhook.secrets set ends_at = now() - interval '1 microsecond' where id = 3`)
	if r := next(); r.header.Get("webhook-signature") != "" {
		t.Error("a secret signs after its end")
	}
}

func TestSign_AKeyPairIsVerifiedWithThePublishedKey(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	public := secrets(t, db, "new", "--ed25519")
	hmac := secrets(t, db, "new") // of another kind: it ends nothing
	var set struct {
		Keys []struct{ Kty, Crv, Alg, Use, Kid, X string }
	}
	if err := json.Unmarshal([]byte(secrets(t, db, "jwks")), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v: %+v", err, set)
	}
	k := set.Keys[0]
	key, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil || k.Kty != "OKP" || k.Crv != "Ed25519" || k.Alg != "EdDSA" || k.Use != "sig" || k.Kid != "1" || public != "whpk_"+base64.StdEncoding.EncodeToString(key) {
		t.Fatalf("%+v, %v", k, err)
	}
	id := db.publish("contact.created", `{}`)
	db.once()
	r := rcv.of(id)[0]
	signature := ""
	for _, each := range strings.Split(r.header.Get("webhook-signature"), " ") {
		if encoded, found := strings.CutPrefix(each, "v1a,"); found {
			signature = encoded
		}
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || !ed25519.Verify(key, []byte(r.header.Get("webhook-id")+"."+r.header.Get("webhook-timestamp")+"."+r.body), raw) || !verifies(t, r, hmac) {
		t.Errorf("%v: %v", err, r.header)
	}
	secrets(t, db, "retire", "1")
	if got := secrets(t, db, "jwks"); strings.Contains(got, "kid") {
		t.Errorf("a retired key is published: %s", got)
	}
}

// What a look-up finds is signed as well.
func TestSign_AClaimWhoseReplyWasLostHasTheSecrets(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	secret := secrets(t, db, "new")
	db.publish("contact.created", `{}`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := store.New(pool, time.Minute)
	defer s.Close()
	claim := "6f0e4a6c-9a46-4f6a-9f3b-8d110b0c2c6e"
	claimed, err := s.Claim(t.Context(), claim, []outbox.Capacity{{Channel: "contacts"}})
	if err != nil || len(claimed) != 1 || claimed[0].Endpoint.Secrets != secret {
		t.Fatalf("%v: %+v", err, claimed)
	}
	found, _, err := s.LookUpClaim(t.Context(), claim)
	if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0].Endpoint, claimed[0].Endpoint) {
		t.Errorf("%v: %+v, the claim had %+v", err, found, claimed)
	}
}

func TestSecrets_TheCommandShowsASecretOnce(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://h")
	admin := loginRole(t, db, "webhook_admin")
	out, errs, _ := runProgram(t, quick(admin.address), nil, "secrets", "list")
	with(t, "without any", out+errs, "There is no signing secret", "webhooks secrets new")
	secret := secrets(t, admin.database, "new")
	again, errs, status := runProgram(t, quick(admin.address), nil, "secrets", "new")
	if status != 0 || !strings.HasPrefix(again, "whsec_") || strings.Count(again, "\n") != 1 {
		t.Errorf("exit status %d: %q", status, again)
	}
	with(t, "the second one", errs, "Signing secret 2 (hmac)", "shown this once", "Signing secret 1 signs beside it until ")
	list := secrets(t, admin.database, "list")
	with(t, "the list", list, "SIGNS UNTIL", "hmac", admin.name, "no end")
	out, _, _ = runProgram(t, quick(admin.address), nil, "secrets", "retire", "1")
	with(t, "retire", out, "Signing secret 1 signs nothing that is claimed from now on; what signs is 2")
	out, _, _ = runProgram(t, quick(admin.address), nil, "secrets", "retire", "2")
	with(t, "retire", out, "no secret is left: requests are no longer signed")
	list += secrets(t, admin.database, "list")
	with(t, "the list", list, "ended 2")
	if strings.Contains(list, "whsec_") || strings.Contains(list, strings.TrimPrefix(secret, "whsec_")) {
		t.Errorf("the list shows a secret:\n%s", list)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"retire", "1"}, 1, "secrets retire 1: the signing secret has ended already"},
		{[]string{"retire", "99"}, 1, "secrets retire 99: there is no signing secret with that id"},
		{[]string{"retire", "x"}, 2, `"x" is no id of a signing secret`},
		{[]string{"retire"}, 2, "expected ID"},
		{[]string{"new", "--overlap", "-1h"}, 2, "--overlap: -1h0m0s is no duration from 0 to ten years"},
		{[]string{"make"}, 2, `secrets: unknown word "make"`},
		{nil, 2, "secrets: expected new, list, retire, jwks or encrypt"},
	} {
		_, errs, status := runProgram(t, quick(admin.address), nil, append([]string{"secrets"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit status %d: %s", c.args, status, errs)
		}
	}
	if got := db.ask(`select string_agg(note || ' by ' || actor, e'\n' order by id) from webhook.interventions where note like 'signing%'`); !strings.HasPrefix(got, "signing secret 1 (hmac): added by "+admin.name+"\nsigning secret 2 (hmac): added by "+admin.name+"\nsigning secret 1 (hmac): ends 2") ||
		!strings.HasSuffix(got, "signing secret 2 (hmac): ended by "+admin.name) {
		t.Errorf("recorded is\n%s", got)
	}
}

func TestSecrets_OnlyWorkerAndAdminReadThem(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://h")
	secrets(t, db, "new")
	reader, producer := loginRole(t, db, "webhook_reader"), loginRole(t, db, "webhook_producer")
	for _, l := range []*login{reader, producer} {
		l.mayNot(`select secret from webhook.secrets`, `select * from webhook.secrets`, `select secrets from webhook.secrets`, `insert into webhook.secrets (kind, secret) values ('hmac', 'x')`, `update webhook.secrets set ends_at = null`)
	}
	reader.may(`select id, kind, encrypted_under, created_at, actor, ends_at from webhook.secrets`)
	worker := loginRole(t, db, "webhook_worker")
	worker.may(`select * from webhook.secrets`)
	worker.mayNot(`update webhook.secrets set ends_at = now()`, `delete from webhook.secrets`)
	admin := loginRole(t, db, "webhook_admin")
	admin.may(`insert into webhook.secrets (kind, secret) values ('hmac', ' whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')`, `update webhook.secrets set ends_at = now() where id = 1`)
	admin.mayNot(`delete from webhook.secrets`, `update webhook.secrets set actor = 'x'`, `update webhook.secrets set created_at = now()`)
	_, errs, status := runProgram(t, quick(reader.address), nil, "secrets", "new")
	if status != 1 || !strings.Contains(errs, "run: grant webhook_admin to ") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

func TestReceive_SaysWhatDiffers(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	secret := secrets(t, db, "new")
	rcv := startTrialReceiver(t, "--secret", secret)
	db.exec(`update webhook.channels set url = $1`, rcv.url)
	db.publish("contact.created", `{}`)
	db.once()
	rcv.says("200  contact.created", "signature verifies")

	db.exec(`update webhook.secrets set ends_at = now()`)
	secrets(t, db, "new")
	db.publish("contact.created", `{}`)
	db.once()
	rcv.says("401  contact.created", "SIGNATURE: secret: it was signed with another secret")
	if got := db.ask(`select failure || ' ' || http_status from webhook.outbox order by id desc limit 1`); got != "rejected 401" {
		t.Errorf("recorded as %s", got)
	}
	req, _ := http.NewRequest(http.MethodPost, rcv.url, strings.NewReader("{}"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 401 {
		t.Errorf("answered with %d", resp.StatusCode)
	}
	rcv.says("SIGNATURE: no signature: the header webhook-id is missing")
	for in, want := range map[string]string{"geheim": "it begins with neither whsec_ (HMAC) nor whsk_ (Ed25519)", "whsec_Zm9v Z2VoZWlt": "it contains white space"} {
		_, errs, status := runProgram(t, nil, nil, "receive", "--secret", in)
		if status != 2 || !strings.Contains(errs, "receive: --secret: "+want) || strings.Contains(errs, "geheim") || strings.Contains(errs, "Z2VoZWlt") {
			t.Errorf("%s: exit status %d: %s", in, status, errs)
		}
	}
}

// trialReceiver is a running `webhooks receive`.
type trialReceiver struct {
	t       *testing.T
	url     string
	printed *logBuffer
	read    int // bytes of what it printed that were looked at
}

func startTrialReceiver(t *testing.T, args ...string) *trialReceiver {
	t.Helper()
	cmd := program(t, nil, append([]string{"receive", "--listen", "127.0.0.1:0"}, args...)...)
	r := &trialReceiver{t: t, printed: &logBuffer{}}
	cmd.Stdout, cmd.Stderr = r.printed, r.printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the receiver listens", func() bool {
		r.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(r.printed.String())
		return r.url != ""
	})
	return r
}

// says waits for these parts, behind what it was seen to say before.
func (r *trialReceiver) says(parts ...string) {
	r.t.Helper()
	for _, part := range parts {
		eventually(r.t, "the receiver says "+part, func() bool {
			at := strings.Index(r.printed.String()[r.read:], part)
			if at >= 0 {
				r.read += at + len(part)
			}
			return at >= 0
		})
	}
}
