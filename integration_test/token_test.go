package integration_test

import (
	"fmt"
	"testing"
)

func TestToken_BearerWithoutOneIsAProblemAndEventsWait(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]any{"null": nil, "empty": "", "blanks": "   ", "no-break spaces": "\u00a0\u2003"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, func(r receipt) int {
				if r.header.Get("Authorization") == "Bearer geheim" {
					return 200
				}
				return 401
			})
			db := ready(t, rcv.URL)
			db.exec(`update webhook.settings set auth = 'bearer', bearer_token = $1`, token)
			document, contact := db.document("42"), db.publish("contact.created", `{}`)
			test := int64(db.number(`select webhook.send_test('cases')`))
			w := startWorker(t, quick(db.address))
			eventually(t, "it is logged", func() bool { return w.said("channel cannot be called, its events wait") > 0 })
			parts := []string{"auth is bearer and there is no token: update webhook.settings set bearer_token = "}
			with(t, "the log", w.log.String(), parts...)
			with(t, "webhook.problems", db.ask(`select problem from webhook.problems where kind = 'channel' and channel = 'contacts'`), parts...)
			with(t, "explain", db.ask(`select webhook.explain($1)`, contact), parts...)
			out, _, status := runProgram(t, quick(db.address), nil, "check")
			inWords := "auth is bearer and there is no token: webhooks set --token -"
			with(t, fmt.Sprint("check, exit status ", status), out, inWords, "BAD   contacts: ")
			out, _, _ = runProgram(t, quick(db.address), nil, "status")
			with(t, "status", out, inWords, "! documents, contacts, folders, cases, notifications, rules and audit_log are on, but cannot be called: ")
			for _, id := range []int64{document, contact, test} {
				if r := db.row(id); r.Status != "pending" || r.Attempts != 0 {
					t.Errorf("meanwhile: %s", asText(db, id))
				}
			}
			db.exec(`update webhook.settings set bearer_token = 'geheim'`)
			for _, id := range []int64{document, contact, test} {
				eventually(t, "it is sent", func() bool { return db.status(id) == "sent" })
			}
		})
	}
}
