package atrest_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/atrest"
)

// encoded is a key that consists of one byte.
func encoded(b byte, n int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, n))
}

func keys(t *testing.T, text string) *atrest.Keys {
	t.Helper()
	k, err := atrest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeys_TheFirstEncryptsAndAllDecrypt(t *testing.T) {
	one, two := encoded(1, 32), encoded(2, 32)
	older, err := keys(t, one).Seal("t.c/1", "geheim")
	if err != nil {
		t.Fatal(err)
	}
	both := keys(t, two+",\n"+one+"\n")
	newer, err := both.Seal("t.c/1", "geheim")
	if err != nil || strings.Contains(newer, "geheim") || !atrest.Sealed(newer) || !strings.HasPrefix(newer, "enc1."+both.IDs()[0]+".") {
		t.Errorf("%s, %v", newer, err)
	}
	for _, stored := range []string{older, newer, "geheim"} {
		if plain, err := both.Open("t.c/1", stored); plain != "geheim" || err != nil {
			t.Errorf("%s: %s, %v", stored, plain, err)
		}
	}
	if both.Current(older) || !both.Current(newer) || both.Current("geheim") || (*atrest.Keys)(nil).Current(newer) {
		t.Error("what is under the first key is mistaken")
	}
	again, _ := both.Seal("t.c/1", "geheim")
	if again == newer {
		t.Error("the same secret encrypts to the same text")
	}
	if _, err := keys(t, two).Open("t.c/1", older); !errors.Is(err, atrest.ErrUnknownKey) {
		t.Error(err)
	}
	for _, none := range []*atrest.Keys{nil, {}} {
		if _, err := none.Open("t.c/1", older); !errors.Is(err, atrest.ErrUnknownKey) {
			t.Error(err)
		}
		if plain, err := none.Open("t.c/1", "geheim"); plain != "geheim" || err != nil {
			t.Error(err)
		}
		if _, err := none.Seal("t.c/1", "geheim"); err == nil || len(none.IDs()) != 0 {
			t.Error("it encrypts without a key")
		}
	}
}

func TestOpen_RefusesWhatWasNotEncryptedForThisPlace(t *testing.T) {
	k := keys(t, encoded(1, 32))
	stored, err := k.Seal("webhook.secrets.secret/1", "geheim")
	if err != nil {
		t.Fatal(err)
	}
	empty, _ := k.Seal("webhook.secrets.secret/1", "")
	for name, c := range map[string]struct{ place, stored string }{
		"another row":     {"webhook.secrets.secret/2", stored},
		"another column":  {"webhook.settings.bearer_token/1", stored},
		"an empty secret": {"webhook.secrets.secret/1", empty},
		"nothing":         {"webhook.secrets.secret/1", stored[:14]},
		"not base64":      {"webhook.secrets.secret/1", stored + "!"},
		"doubled":         {"webhook.secrets.secret/1", stored + stored[14:]},
	} {
		if plain, err := k.Open(c.place, c.stored); !errors.Is(err, atrest.ErrForged) || plain != "" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	for n := 14; n < len(stored); n++ {
		if _, err := k.Open("webhook.secrets.secret/1", stored[:n]); !errors.Is(err, atrest.ErrForged) {
			t.Errorf("cut off at %d: %v", n, err)
		}
		changed := []byte(stored)
		changed[n] = map[bool]byte{true: 'A', false: 'B'}[changed[n] != 'A']
		if plain, err := k.Open("webhook.secrets.secret/1", string(changed)); err == nil && n < len(stored)-1 { // the last digit has bits that mean nothing
			t.Errorf("changed at %d: %s", n, plain)
		}
	}
}

func TestParse_SaysWhichKeyIsWrongAndQuotesNone(t *testing.T) {
	good := encoded(1, 32)
	for in, want := range map[string]string{
		"":                          "there is no key",
		",,":                        "there is no key",
		encoded('g', 31):            "key 1 of 1 has 31 bytes, 32 were expected",
		encoded('g', 33):            "key 1 of 1 has 33 bytes",
		good + "," + encoded(3, 16): "key 2 of 2 has 16 bytes",
		good + "\nZ2VoZWlt!":        "key 2 of 2 is not base64",
		good[:20] + " " + good[20:]: "key 1 of 2 has 15 bytes",
	} {
		_, err := atrest.Parse(in)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "Z2V") || strings.Contains(err.Error(), good[:10]) {
			t.Errorf("%q: %v, expected %q", in, err, want)
		}
	}
}
