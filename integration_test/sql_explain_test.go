package integration_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The secrets of the settings and URLs of these tests all contain this word.
const secret = "geheim"

// explained is a paragraph that a support person may paste: one, without a
// secret, that says these parts.
func (db *database) explained(id int64, parts ...string) string {
	db.t.Helper()
	text := db.ask(`select webhook.explain($1)`, id)
	with(db.t, "explain", text, parts...)
	checkParagraph(db.t, text)
	return text
}

func checkParagraph(t testing.TB, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\n\r\t") || strings.Contains(text, "  ") || strings.Contains(text, secret) || strings.Contains(text, "<NULL>") ||
		strings.Contains(text, " .") || strings.Contains(strings.ReplaceAll(text, "...", ""), "..") || len(text) > 2000 || !strings.HasSuffix(strings.TrimSuffix(text, ")"), ".") {
		t.Errorf("this is no plain paragraph:\n%q", text)
	}
}

// failed is how an attempt ended, and what the hint must say of it.
type failed struct {
	failure  string
	status   int
	received string
	parts    []string
}

// allFailures are the classes of outbox.Failure with what tells them apart: the specification's Troubleshooting, and
// what its list leaves out.
var allFailures = []failed{
	{"config", 0, "no", []string{"cannot be called as configured", "Fix its URL or the bearer token"}},
	{"render", 0, "no", []string{"Fix the field that the error names", "for a pending document by exporting it again, or in its row (update webhook.outbox set data = '...' where id = N)"}},
	{"blocked_address", 0, "no", []string{"internal address", "add the network to WEBHOOK_ALLOW_NETWORKS"}},
	{"dns", 0, "no", []string{"The host name does not resolve", "typing error"}},
	{"proxy", 0, "no", []string{"egress proxy", "the event waits", "WEBHOOK_PROXY"}},
	{"refused", 0, "no", []string{"No server listens at that address"}},
	{"unreachable", 0, "no", []string{"cannot be reached", "firewall"}},
	{"tls", 0, "no", []string{"TLS with the receiver failed", "certificate"}},
	{"timeout", 0, "maybe", []string{"did not answer within the time limit", "so it may have the event", "answer at once and work afterwards"}},
	{"timeout", 0, "no", []string{"No connection within the time limit; nothing was sent"}},
	{"connection_lost", 0, "maybe", []string{"ended before the receiver answered", "so it may have the event"}},
	{"connection_lost", 0, "no", []string{"ended before the request was sent"}},
	{"bad_answer", 0, "maybe", []string{"not valid HTTP", "Check scheme, host and port"}},
	{"bad_answer", 101, "maybe", []string{"not valid HTTP"}},
	{"redirect", 301, "no", []string{"redirects are never followed", "Set the channel's URL to the address it redirects to"}},
	{"not_counted", 202, "yes", []string{"a success status that does not count", "accept_status"}},
	{"rejected", 400, "no", []string{"does not accept the payload", "schema 2.0"}},
	{"rejected", 401, "no", []string{"requires authentication", "add a bearer token in the settings"}},
	{"rejected", 403, "no", []string{"The token is incorrect", "IP address is blocked"}},
	{"rejected", 404, "no", []string{"path of the URL is wrong", "regenerate the webhook URL in the receiving tool"}},
	{"rejected", 405, "no", []string{"does not accept POST"}},
	{"rejected", 408, "no", []string{"waited too long", "Documents are retried automatically"}},
	{"rejected", 409, "no", []string{"reports a conflict", "accept_status || 409", "webhook.mark_delivered"}},
	{"rejected", 418, "no", []string{"rejects the request"}},
	{"rejected", 410, "no", []string{"was deleted in the receiving tool", "or turn the channel off"}},
	{"rejected", 413, "no", []string{"too large for the receiver", "client_max_body_size"}},
	{"rejected", 415, "no", []string{"application/json"}},
	{"rejected", 422, "no", []string{"rejects its content"}},
	{"rate_limited", 429, "no", []string{"called too often", "max_per_second"}},
	{"server_error", 500, "no", []string{"down or overloaded", "Documents are retried automatically, other events are not"}},
	{"server_error", 503, "no", []string{"down or overloaded"}},
	{"server_error", 999, "no", []string{"down or overloaded"}},
	{"interrupted", 0, "maybe", []string{"unknown whether the receiver has the event", "check the receiver"}},
	{"interrupted", 0, "no", []string{"It is safe to send the event again"}},
}

func TestExplain_SaysWhatEachFailureMeansAndWhatToDo(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://user:"+secret+"@re.example/"+secret+"?key="+secret)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = '` + secret + `'`)
	for n, f := range allFailures {
		for _, event := range []string{"contact.created", "document.exported"} {
			for _, text := range []string{"in words, of https://re.example", ""} {
				name := fmt.Sprintf("%s %d %s %s %q", f.failure, f.status, f.received, event, text)
				id := db.publish(event, fmt.Sprintf(`{"id": "%d %d"}`, n, len(text)))
				columns := `attempts = 1, status = 'failed', finished_at = now()`
				if event == "document.exported" {
					columns = `attempts = 1, due_at = now() + interval '7 seconds'`
				}
				db.exec(`update webhook.outbox set `+columns+`, failure = $2, http_status = nullif($3, 0), received = $4, error = nullif($5, '') where id = $1`, id, f.failure, f.status, f.received, text)
				shown := text // without a text the status, without a status the class
				switch {
				case text == "" && f.status != 0:
					shown = fmt.Sprintf("HTTP %d", f.status)
				case text == "":
					shown = f.failure
				}
				parts := append([]string{"Its newest attempt ended with: " + shown + "."}, f.parts...)
				if event == "contact.created" {
					again := fmt.Sprintf("To send it again: select webhook.retry(%d).", id)
					if f.failure == "render" {
						again = "Sent again as it is, it would fail in the same way"
					}
					parts = append(parts, "will not be sent again automatically", again)
				} else {
					parts = append(parts, "was not delivered yet, after one attempt; the next attempt is due at 20")
				}
				said := db.ask(`select webhook.explain($1)`, id)
				with(t, name, said, parts...)
				checkParagraph(t, said)
			}
		}
	}
}

// hinted is a hint, "" if there is none.
func (db *database) hinted(f failed) string {
	db.t.Helper()
	return query[string](db.t, db.address, `select coalesce(webhook.hint($1, nullif($2, 0), $3), '')`, f.failure, f.status, f.received)
}

func TestHint_EachIsASentenceThatACaseHas(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	said := map[string]bool{}
	for _, f := range allFailures {
		hint := db.hinted(f)
		with(t, fmt.Sprint(f.failure, " ", f.status, " ", f.received), hint, f.parts...)
		if !strings.HasSuffix(hint, ".") && !strings.HasSuffix(hint, ").") {
			t.Errorf("%v: %q is no sentence", f, hint)
		}
		said[hint] = true
	}
	body := db.ask(`select prosrc from pg_proc where oid = 'webhook.hint(text, int, text)'::regprocedure`)
	hints := regexp.MustCompile(`(?:then|else) '((?:[^']|'')*)'`).FindAllStringSubmatch(body, -1)
	if len(hints) < 25 {
		t.Fatalf("only %d hints were found in the function", len(hints))
	}
	for _, h := range hints {
		if hint := strings.ReplaceAll(h[1], "''", "'"); !said[hint] {
			t.Errorf("no case has this hint: %s", hint)
		}
	}
	for _, args := range []string{`null`, `null, 200, 'yes'`, `null, 404`, `'no_such'`, `''`} {
		if got := db.ask(`select webhook.hint(` + args + `)`); got != "" {
			t.Errorf("%s: %q", args, got)
		}
	}
	for status := 400; status < 500; status++ {
		if db.hinted(failed{failure: "rejected", status: status, received: "no"}) == "" {
			t.Errorf("%d has no hint", status)
		}
	}
}

// The classes are listed in outbox/failure.go, in a CHECK and in a comment, and webhook.hint has an answer for each.
func TestHint_KnowsTheFailuresOfTheWorker(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	source, err := os.ReadFile("../outbox/failure.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\s*Failure\w+\s+Failure = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, m[1])
	}
	var got, here []string
	for _, m := range regexp.MustCompile(`'(\w+)'`).FindAllStringSubmatch(db.ask(`select substring(prosrc from 'failure operator[^\[]*\[([^\]]*)\]') from pg_proc where proname = 'state_is_possible'`), -1) {
		got = append(got, m[1])
	}
	for _, f := range allFailures {
		here = append(here, f.failure)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the database knows %v, the worker %v", got, want)
	}
	comment := db.ask(`select col_description('webhook.outbox'::regclass, attnum) from pg_attribute where attrelid = 'webhook.outbox'::regclass and attname = 'failure'`)
	for _, f := range want {
		if !slices.Contains(here, f) {
			t.Errorf("no case has %s", f)
		}
		with(t, "the comment", comment, f)
	}
}
