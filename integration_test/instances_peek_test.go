package integration_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// TestPeek_FindsWhatAClaimFinds: an event is due for Peek exactly where a claim returns one.
func TestPeek_FindsWhatAClaimFinds(t *testing.T) {
	t.Parallel()
	const contact = `select webhook.publish('contact.created', '{}')`
	for name, c := range map[string]struct {
		prepare string
		want    store.Peeked
	}{
		"nothing":                        {`select 1`, store.Peeked{}},
		"an event":                       {contact, store.Peeked{Due: true}},
		"a document":                     {`select webhook.publish('document.exported', '{"id": 1, "status": "Export"}')`, store.Peeked{Due: true}},
		"a test event of a channel off":  {`update webhook.channels set enabled = false where name = 'contacts'; select webhook.send_test('contacts')`, store.Peeked{Due: true}},
		"an event of a channel off":      {`update webhook.channels set enabled = false where name = 'contacts'; ` + contact, store.Peeked{Skip: true}},
		"a document of a channel off":    {`update webhook.channels set enabled = false where name = 'documents'; select webhook.publish('document.exported', '{}')`, store.Peeked{}},
		"Offline Mode":                   {`update webhook.settings set offline_mode = true; ` + contact, store.Peeked{}},
		"Offline Mode and a channel off": {`update webhook.settings set offline_mode = true; update webhook.channels set enabled = false; ` + contact, store.Peeked{}},
		"a pause":                        {`update webhook.pacing set paused_until = now() + interval '1 minute'; ` + contact, store.Peeked{}},
		"a pause that is over":           {`update webhook.pacing set paused_until = now() - interval '1 minute'; ` + contact, store.Peeked{Due: true}},
		"no URL":                         {`update webhook.channels set url = null; ` + contact, store.Peeked{}},
		"another environment":            {`update webhook.settings set environment = 'staging'; ` + contact, store.Peeked{}},
		"one that is due later":          {contact + `; update webhook.outbox set due_at = now() + interval '1 hour'`, store.Peeked{}},
		"a retry":                        {contact + `; update webhook.outbox set attempts = 1`, store.Peeked{Due: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "http://127.0.0.1:1")
			db.exec(c.prepare)
			pool, err := store.OpenInstance(90*time.Second, func() (string, error) { return db.address, nil })
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			s := store.New(pool, 90*time.Second)
			got, err := s.Peek(t.Context())
			if err != nil || got != c.want {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
			if n := pool.Stats().OpenConnections; n != 1 {
				t.Errorf("%d sessions", n)
			}
			s.SetAwake(true)
			var capacity []outbox.Capacity
			for _, c := range outbox.Channels() {
				capacity = append(capacity, outbox.Capacity{Channel: c.Name})
			}
			events, err := s.Claim(t.Context(), uuid.NewString(), capacity)
			if err != nil || (len(events) > 0) != c.want.Due {
				t.Errorf("a claim returns %d events, %v", len(events), err)
			}
			s.SetAwake(false)
			got, err = s.Peek(t.Context())
			if err != nil || got.Leased != c.want.Due || got.Due {
				t.Errorf("then %+v, %v", got, err)
			}
			if n := pool.Stats().OpenConnections; n != 1 {
				t.Errorf("%d sessions once it is asleep again", n)
			}
		})
	}
}
