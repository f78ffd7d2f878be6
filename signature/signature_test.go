package signature_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/recordengine/webhooks/signature"
)

// signing is a request that was signed with these secrets, now.
func signing(t *testing.T, id, body string, secrets ...string) http.Header {
	t.Helper()
	at := time.Now().Unix()
	var value []byte
	for _, s := range secrets {
		value = key(t, s).Append(append(value, ' '), id, at, []byte(body))
	}
	return http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(at)}, "Webhook-Signature": {strings.TrimSpace(string(value))}}
}

func key(t *testing.T, secret string) *signature.Key {
	t.Helper()
	k, err := signature.Parse(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifier(t *testing.T, secrets ...string) *signature.Verifier {
	t.Helper()
	v := &signature.Verifier{Now: time.Now}
	for _, s := range secrets {
		v.Keys = append(v.Keys, key(t, s))
	}
	return v
}

// The example of the specification's libraries.
func TestAppend_TheKnownSignature(t *testing.T) {
	got := key(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").Append(nil, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if string(got) != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%s", got)
	}
}

func TestAppend_VerifiesInTheLibraryOfTheSpecification(t *testing.T) {
	secret, other := signature.NewSecret(signature.HMAC), signature.NewSecret(signature.HMAC)
	header := signing(t, "inst-1-abc", `{"a":1}`, other, secret, signature.NewSecret(signature.Ed25519))
	for _, s := range []string{secret, other} {
		oracle, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := oracle.Verify([]byte(`{"a":1}`), header); err != nil {
			t.Error(err)
		}
		if oracle.Verify([]byte(`{"a":2}`), header) == nil {
			t.Error("another body verifies")
		}
	}
}

// And what the library signs verifies here.
func TestVerifier_ReadsWhatTheLibrarySigns(t *testing.T) {
	secret := signature.NewSecret(signature.HMAC)
	oracle, _ := standardwebhooks.NewWebhook(secret)
	at := time.Now()
	signed, err := oracle.Sign("msg_1", at, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {"v1,bm9uZQ== v9,x " + signed}}
	if err := verifier(t, secret).Verify(header, []byte("body")); err != nil {
		t.Error(err)
	}
}

func TestAppend_Ed25519VerifiesWithThePublicKeyAlone(t *testing.T) {
	secret := signature.NewSecret(signature.Ed25519)
	public := key(t, secret).Public()
	header := signing(t, "a-1", "body", secret)
	encoded, found := strings.CutPrefix(header.Get("Webhook-Signature"), "v1a,")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || !ed25519.Verify(public, []byte("a-1."+header.Get("Webhook-Timestamp")+".body"), raw) {
		t.Errorf("%v %v %s", found, err, encoded)
	}
	if err := verifier(t, signature.PublicText(public)).Verify(header, []byte("body")); err != nil {
		t.Error(err)
	}
	if err := verifier(t, signature.PublicText(public)).Verify(header, []byte("bodY")); err == nil {
		t.Error("another body verifies")
	}
}

func TestParse_BothSerializationsOfAPrivateKeyAreTheSameKey(t *testing.T) {
	seed := make([]byte, 32)
	private := ed25519.NewKeyFromSeed(seed)
	short, long := "whsk_"+base64.StdEncoding.EncodeToString(seed), "whsk_"+base64.StdEncoding.EncodeToString(private)
	if !key(t, short).Public().Equal(key(t, long).Public()) {
		t.Error("they differ")
	}
	private[63]++
	_, err := signature.Parse("whsk_" + base64.StdEncoding.EncodeToString(private))
	if err == nil || err.Error() != "its second half is not the public key of its first half" {
		t.Error(err)
	}
}

func TestParse_ARefusalSaysWhatIsWrongAndQuotesNothing(t *testing.T) {
	of := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("g", n))) }
	for in, want := range map[string]string{
		"":                      "it begins with neither whsec_ (HMAC) nor whsk_ (Ed25519)",
		"geheim":                "it begins with neither",
		"WHSEC_" + of(32):       "it begins with neither",
		"whsec_":                "it has 0 bytes, 24 to 64 were expected",
		"whsec_" + of(23):       "it has 23 bytes",
		"whsec_" + of(65):       "it has 65 bytes",
		"whsk_" + of(31):        "it has 31 bytes, 32 (a seed) or 64 (seed and public key) were expected",
		"whpk_" + of(33):        "it has 33 bytes, 32 were expected",
		"whsec_geheim!":         "it is not base64 behind its prefix",
		"whsec_" + of(32)[1:]:   "it is not base64 behind its prefix",
		"whsec_Zm9v Z2VoZWlt":   "it contains white space (character 5 behind its prefix)",
		"whsec_" + of(24) + " ": "it contains white space (character 33",
		"whsec_Zm9v\nZ2VoZWlt":  "it contains white space (character 5",
	} {
		_, err := signature.Parse(in)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "Z2VoZWlt") {
			t.Errorf("%q: %v, expected %q", in, err, want)
		}
	}
	for _, n := range []int{24, 25, 26, 64} {
		key(t, "whsec_"+of(n))
	}
}

func TestVerifier_SaysWhatDiffers(t *testing.T) {
	secret, other, pair := signature.NewSecret(signature.HMAC), signature.NewSecret(signature.HMAC), signature.NewSecret(signature.Ed25519)
	body := `{"a": 1}`
	for _, c := range []struct {
		name   string
		change func(h http.Header)
		body   string
		want   string // the beginning; "": it verifies
	}{
		{"as it was sent", func(http.Header) {}, body, ""},
		{"no id", func(h http.Header) { h.Del("webhook-id") }, body, "no signature: the header webhook-id is missing"},
		{"no time", func(h http.Header) { h.Del("webhook-timestamp") }, body, "no signature: the header webhook-timestamp is missing"},
		{"no signature", func(h http.Header) { h.Del("webhook-signature") }, body, "no signature: the header webhook-signature is missing"},
		{"no number", func(h http.Header) { h.Set("webhook-timestamp", "now") }, body, "time: webhook-timestamp is no number"},
		{"another time", func(h http.Header) { h.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()+7)) }, body, "time: webhook-timestamp is not the one that was signed, "},
		{"a body that was rendered again", func(http.Header) {}, `{"a":1}`, "secret: it was signed with another secret, or id or body were changed"},
		{"a line break behind the body", func(http.Header) {}, body + "\n", "body: "},
		{"another body", func(http.Header) {}, `{"a": 2}`, "secret: it was signed with another secret, or id or body were changed on the way"},
		{"another secret", func(h http.Header) { h["Webhook-Signature"] = signing(t, "a-1", body, other)["Webhook-Signature"] }, body, "secret: it was signed with another secret"},
		{"a key pair", func(h http.Header) { h["Webhook-Signature"] = signing(t, "a-1", body, pair)["Webhook-Signature"] }, body, `secret: no signature of a kind that this secret verifies; there are "v1a"`},
	} {
		header := signing(t, "a-1", body, secret)
		c.change(header)
		err := verifier(t, secret).Verify(header, []byte(c.body))
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.name, err, c.want)
		}
	}
}

// Of a request that was seen before it is known what was signed.
func TestVerifier_RemembersWhatWasSigned(t *testing.T) {
	secret := signature.NewSecret(signature.HMAC)
	for name, c := range map[string]struct{ header, value, body, want string }{
		"id":   {"webhook-id", "a-2", "body", "id: webhook-id is not the one that was signed, which is that of an earlier request"},
		"time": {"webhook-timestamp", "946684800", "body", "time: webhook-timestamp is not the one that was signed, which is that of an earlier request"},
		"body": {"x-other", "x", "Body", "body: the body is not the one that was signed, which is that of an earlier request"},
	} {
		v := verifier(t, secret)
		header := signing(t, "a-1", "body", secret)
		if err := v.Verify(header, []byte("body")); err != nil {
			t.Fatal(err)
		}
		header.Set(c.header, c.value)
		if err := v.Verify(header, []byte(c.body)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifier_AClockThatIsTenMinutesOff(t *testing.T) {
	secret := signature.NewSecret(signature.HMAC)
	synctest.Test(t, func(t *testing.T) {
		header := signing(t, "a-1", "body", secret)
		for _, c := range []struct {
			off  time.Duration
			want string
		}{
			{0, ""}, {5 * time.Minute, ""}, {-5 * time.Minute, ""},
			{10 * time.Minute, "time: signed 10m0s ago by this machine's clock, at most 5m0s is accepted: an old request, or one of the clocks is wrong"},
			{-10 * time.Minute, "time: signed 10m0s ahead of this machine's clock, at most 5m0s is accepted: one of the clocks is wrong"},
		} {
			v := verifier(t, secret)
			v.Now = func() time.Time { return time.Now().Add(c.off) }
			if err := v.Verify(header, []byte("body")); err == nil && c.want != "" || err != nil && err.Error() != c.want {
				t.Errorf("%s: %v", c.off, err)
			}
		}
	})
}
