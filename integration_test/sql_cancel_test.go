package integration_test

import (
	"fmt"
	"slices"
	"testing"
)

func TestCancel_CancelsAPendingEventThatNoWorkerHolds(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	test := insertTest(db, "audit.log")
	for name, id := range map[string]int64{
		"one attempt": db.publish("contact.created", `{}`),
		"document":    db.document("42"),
		"refused":     db.inState("refused", "document.exported", `{"id": 43}`),
		"test event":  test,
	} {
		before := db.row(id)
		said := db.ask(`select webhook.cancel($1)`, id)
		with(t, name, said, "was cancelled by a person at", "will not be sent", "Cancelled by "+db.user(), "before that it was pending")
		if said != db.ask(`select webhook.explain($1)`, id) {
			t.Errorf("%s: cancel says %s", name, said)
		}
		r := db.row(id)
		if r.Status != "cancelled" || r.FinishedAt == nil || r.Attempts != before.Attempts || value(r.Error) != value(before.Error) {
			t.Errorf("%s: it is %+v", name, r)
		}
		want := fmt.Sprintf("cancel by %s: was pending (%s, %s%s)", db.user(), number(before.HTTPStatus), db.classOf(id), value(before.Error))
		if got := db.trace(id); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: the trace is %q, want %q", name, got, want)
		}
	}
	db.once()
	if n := len(rcv.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestCancel_IsRefusedInWords(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	before := map[int64]string{}
	for state, part := range map[string]string{
		"sending": "ERROR 55006: event %d cannot be cancelled: worker host:7 holds it until 20",
		"died":    "ERROR 55006: event %d cannot be cancelled: worker host:7 holds it until 20",
		"sent":    "ERROR 55000: event %d cannot be cancelled: it is finished (sent)",
		"failed":  "ERROR 55000: event %d cannot be cancelled: it is finished (failed)",
		"skipped": "ERROR 55000: event %d cannot be cancelled: it is finished (skipped)", "cancelled": "ERROR 55000: event %d cannot be cancelled: it is finished (cancelled)",
	} {
		id := db.inState(state, "contact.created", `{}`)
		before[id] = db.status(id)
		with(t, state, db.ask(`select webhook.cancel($1)`, id), fmt.Sprintf(part, id))
	}
	leased := db.inState("leased", "document.exported", `{"id": 42}`)
	before[leased] = "pending"
	with(t, "a document that a worker holds", db.ask(`select webhook.cancel($1)`, leased), "ERROR 55006", "worker host:7 holds it until "+db.row(leased).LeasedUntil.UTC().Format("2006-01-02 15:04:05Z"))
	with(t, "no such event", db.ask(`select webhook.cancel(987654321)`), "ERROR P0002: event 987654321 does not exist")
	for id, status := range before {
		if db.status(id) != status || len(db.trace(id)) != 0 {
			t.Errorf("%s became %s, trace %q", status, db.status(id), db.trace(id))
		}
	}
}

func TestCancel_OfAnExportLetsTheOneBeforeItBeSent(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	older, later := db.document("42"), db.document("42")
	db.ask(`select webhook.cancel($1)`, later)
	db.once()
	if db.status(older) != "sent" || len(rcv.of(older)) != 1 || len(rcv.of(later)) != 0 {
		t.Errorf("the older export is %s", db.status(older))
	}
	with(t, "retry of the cancelled one", db.ask(`select webhook.retry($1)`, later), "Sent again by")
	with(t, "retry of the older one, now followed", db.ask(`select webhook.retry($1)`, older), "ERROR 55000", "is a later export")
	db.once()
	if db.status(later) != "sent" || len(rcv.of(later)) != 1 {
		t.Errorf("the later export is %s", db.status(later))
	}
}

func TestDiscard_CancelsWhatItsFiltersSay(t *testing.T) {
	t.Parallel()
	for args, want := range map[string][]string{
		``:                                    {"contact", "old contact", "audit", "document", "refused", "infinite", "test"},
		`'contacts'`:                          {"contact", "old contact", "infinite"},
		`channel => 'documents'`:              {"document", "refused"},
		`channel => 'folders'`:                {},
		`before => now() - interval '1 hour'`: {"old contact"},
		`channel => 'audit_log', before => now() - interval '1 day'`: {},
		`channel => 'audit_log', before => 'infinity'`:               {"audit", "test"},
		`'contacts', null, 100`:                                      {"contact", "old contact", "infinite"},
		`max_rows => 0`:                                              {},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			db.exec(`update webhook.settings set offline_mode = true`) // what it is for
			ids := map[string]int64{
				"contact": db.publish("contact.created", `{}`), "old contact": db.publish("contact.created", `{}`), "infinite": db.publish("contact.created", `{}`),
				"audit": db.publish("audit.log", `{}`), "document": db.document("42"), "refused": db.inState("refused", "document.exported", `{"id": 43}`),
				"test": insertTest(db, "audit.log"),
			}
			db.become(ids["old contact"], `occurred_at = now() - interval '2 hours'`)
			db.become(ids["infinite"], `occurred_at = 'infinity'`)
			for _, state := range []string{"sending", "died", "sent", "failed", "skipped"} {
				db.inState(state, "contact.created", `{}`)
			}
			db.inState("leased", "document.exported", `{"id": 44}`)
			before := db.everything()
			dry := `dry_run => true`
			if args != "" {
				dry = args + ", " + dry
			}
			if n := db.readOnly(`select webhook.discard(` + dry + `)`); n != len(want) || db.everything() != before {
				t.Errorf("a dry run says %d, want %d; changed anything: %t", n, len(want), db.everything() != before)
			}
			if n := db.number(`select webhook.discard(` + args + `)`); n != len(want) {
				t.Errorf("it says %d, want %d", n, len(want))
			}
			for name, id := range ids {
				traced := len(db.trace(id)) == 1
				if wanted := slices.Contains(want, name); wanted != (db.status(id) == "cancelled") || wanted != traced {
					t.Errorf("%s is %s, trace %q", name, db.status(id), db.trace(id))
				}
			}
			if n := db.count(`select count(*) from webhook.outbox where status = 'cancelled'`); n != len(want) {
				t.Errorf("%d are cancelled", n)
			}
			if len(want) > 0 {
				with(t, "explain", db.ask(`select webhook.explain($1)`, ids[want[0]]), "Discarded by "+db.user())
			}
		})
	}
}

func TestDiscard_IsRepeatedUntilItReturnsZero(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data) select e, '{}' from generate_series(1, 30), unnest(array['contact.created', 'audit.log']) e`)
	for _, want := range []int{25, 25, 10, 0} {
		if n := db.number(`select webhook.discard(max_rows => 25)`); n != want {
			t.Errorf("it returned %d, want %d", n, want)
		}
	}
}

// A dry run in a transaction that stays open must not keep workers from the rows.
func TestDiscard_ADryRunDelaysNoDelivery(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	id := db.publish("contact.created", `{}`)
	release := db.locked(`select webhook.discard(dry_run => true), webhook.retry_failed(dry_run => true)`)
	defer release()
	db.once()
	if db.status(id) != "sent" {
		t.Errorf("it is %s while a dry run's transaction is open", db.status(id))
	}
}
