package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/docs/snippets/verify"
	"github.com/recordengine/webhooks/signature"
)

// signedCase is a request for the snippets of docs/snippets/verify, and what they must say of it.
type signedCase struct {
	Name, Secret, ID, At, Signature, Body string
	want                                  bool
}

// signedCases are as a worker signs, and as others might.
func signedCases(t *testing.T) []signedCase {
	t.Helper()
	secret, other, pair := signature.NewSecret(signature.HMAC), signature.NewSecret(signature.HMAC), signature.NewSecret(signature.Ed25519)
	sign := func(c signedCase, age time.Duration, secrets ...string) signedCase {
		at := time.Now().Add(-age).Unix()
		var value []byte
		for _, s := range secrets {
			key, err := signature.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			value = key.Append(append(value, ' '), "inst-1-abc", at, []byte(c.Body))
		}
		c.Secret, c.ID, c.At, c.Signature = secret, "inst-1-abc", fmt.Sprint(at), strings.TrimSpace(string(value))
		return c
	}
	body := `{"amount":12500.00,"name":"发票"}`
	good := sign(signedCase{Name: "as it was sent", Body: body, want: true}, 0, secret)
	change := func(name string, by func(*signedCase)) signedCase {
		c := good
		c.Name, c.want = name, false
		by(&c)
		return c
	}
	return []signedCase{
		good,
		sign(signedCase{Name: "in a rotation", Body: body, want: true}, 0, other, pair, secret),
		sign(signedCase{Name: "four minutes old", Body: body, want: true}, 4*time.Minute, secret),
		sign(signedCase{Name: "an empty body", Body: "", want: true}, 0, secret),
		sign(signedCase{Name: "ten minutes old", Body: body}, 10*time.Minute, secret),
		sign(signedCase{Name: "ten minutes ahead", Body: body}, -10*time.Minute, secret),
		sign(signedCase{Name: "another secret", Body: body}, 0, other, pair),
		change("another body", func(c *signedCase) { c.Body = strings.Replace(body, "12500.00", "12500.0", 1) }),
		change("another id", func(c *signedCase) { c.ID = "inst-2-abc" }),
		change("another time", func(c *signedCase) { c.At = fmt.Sprint(time.Now().Unix() + 7) }),
		change("no time", func(c *signedCase) { c.At = "" }),
		change("no number", func(c *signedCase) { c.At = "²" }),
		change("no signature", func(c *signedCase) { c.Signature = "" }),
		change("a signature that is cut off", func(c *signedCase) { c.Signature = c.Signature[:20] }),
	}
}

// verifiers run a snippet on the cases, which are on standard input, and print what it says.
var verifiers = map[string]struct{ file, command, flag, driver string }{
	"Python": {"verify.py", "python3", "-c", `import json, sys
from verify import verify
h = lambda c: {k: v for k, v in {"webhook-id": c["ID"], "webhook-timestamp": c["At"], "webhook-signature": c["Signature"]}.items() if v}
print(json.dumps([verify(c["Secret"], h(c), c["Body"].encode()) for c in json.load(sys.stdin)]))`},
	"Node": {"verify.mjs", "node", "--input-type=module", `import { readFileSync } from "node:fs";
const { verify } = await import(process.cwd() + "/verify.mjs");
const h = (c) => Object.fromEntries(Object.entries({ "webhook-id": c.ID, "webhook-timestamp": c.At, "webhook-signature": c.Signature }).filter(([, v]) => v));
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((c) => verify(c.Secret, h(c), Buffer.from(c.Body)))));`},
	"PHP": {"verify.php", "php", "-r", `require "verify.php";
echo json_encode(array_map(fn($c) => verify($c["Secret"], $c["ID"], $c["At"], $c["Signature"], $c["Body"]), json_decode(stream_get_contents(STDIN), true)));`},
}

func TestSnippets_VerifyWhatIsSignedAndNothingElse(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, cases []signedCase, said []bool) {
		t.Helper()
		for i, c := range cases {
			if i >= len(said) || said[i] != c.want {
				t.Errorf("%s: expected %v; all: %v", c.Name, c.want, said)
			}
		}
	}
	t.Run("Go", func(t *testing.T) {
		cases := signedCases(t)
		said := make([]bool, len(cases))
		for i, c := range cases {
			said[i] = verify.Verify(c.Secret, http.Header{"Webhook-Id": {c.ID}, "Webhook-Timestamp": {c.At}, "Webhook-Signature": {c.Signature}}, []byte(c.Body))
		}
		check(t, cases, said)
	})
	for language, v := range verifiers {
		t.Run(language, func(t *testing.T) {
			path, err := exec.LookPath(v.command)
			if err != nil {
				give := t.Skipf
				if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
					give = t.Fatalf
				}
				give("docs/snippets/verify/%s was not run: no %s", v.file, v.command)
			}
			args := []string{v.flag, v.driver}
			if language == "Node" {
				args = []string{v.flag, "--eval", v.driver}
			}
			cases := signedCases(t)
			cmd := exec.CommandContext(t.Context(), path, args...)
			cmd.Dir, err = filepath.Abs(snippets + "/verify")
			if err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			in, err := json.Marshal(cases)
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = strings.NewReader(string(in))
			var said []bool
			out, err := cmd.Output()
			if err != nil || json.Unmarshal(out, &said) != nil {
				t.Fatalf("%v: %s", err, out)
			}
			check(t, cases, said)
		})
	}
}

// receive.md names each language of the snippets.
func TestSnippets_VerifyIsThereForEachLanguage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(snippets + "/verify/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	if want := []string{"verify.go", "verify.mjs", "verify.php", "verify.py"}; !reflect.DeepEqual(names, want) {
		t.Errorf("there are %v", names)
	}
}
