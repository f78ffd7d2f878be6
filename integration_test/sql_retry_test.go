package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

func TestRetry_SendsAFinishedEventAgainWhateverItsStatus(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	document := func(state string) int64 {
		return db.inState(state, "document.exported", fmt.Sprintf(`{"id": "D-%s", "status": "Export"}`, state))
	}
	superseded := document("superseded")
	db.inState("cancelled", "document.exported", `{"id": "D-superseded", "status": "Export"}`) // the later one was cancelled
	ids := map[string]int64{"document superseded": superseded, "document sent": document("sent"), "document cancelled": document("cancelled")}
	for _, state := range []string{"sent", "failed", "unknown", "skipped", "cancelled"} {
		ids[state] = db.inState(state, "contact.created", `{}`)
	}
	test := insertTest(db, "document.exported")
	db.become(test, states["failed"])
	ids["test"] = test

	for name, id := range ids {
		before, class := db.row(id), db.classOf(id)
		said := db.ask(`select webhook.retry($1)`, id)
		if said != db.ask(`select webhook.explain($1)`, id) {
			t.Errorf("%s: retry says %s", name, said)
		}
		with(t, name, said, "is due since", "Sent again by "+db.user(), "before that it was "+before.Status)
		r := db.row(id)
		if r.Status != "pending" || r.FinishedAt != nil || r.SyncedAt != nil || r.Error != nil || r.HTTPStatus != nil || r.Response != nil || db.classOf(id) != ", , " || r.Attempts != before.Attempts {
			t.Errorf("%s: after retry it is %+v", name, r)
		}
		want := fmt.Sprintf("retry by %s: was %s (%s, %s%s)", db.user(), before.Status, number(before.HTTPStatus), class, value(before.Error))
		if got := db.trace(id); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: the trace is %q, want %q", name, got, want)
		}
	}
	db.once()
	for name, id := range ids {
		if got := db.row(id); got.Status != "sent" || len(rcv.of(id)) != 1 {
			t.Errorf("%s: %s, received %d times", name, got.Status, len(rcv.of(id)))
		}
	}
}

// classOf is the failure of an event and whether the receiver has it: "server_error, no, ".
func (db *database) classOf(id int64) string {
	db.t.Helper()
	return db.ask(`select format('%s, %s, ', failure, received) from webhook.outbox where id = $1`, id)
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func TestRetry_IsRefusedInWords(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	pending := db.publish("contact.created", `{}`)
	sending := db.inState("sending", "contact.created", `{}`)
	leased := db.inState("leased", "document.exported", `{"id": 7}`)
	lease := "worker host:7 holds it until " + db.row(leased).LeasedUntil.UTC().Format("2006-01-02 15:04:05Z")
	for name, c := range map[string]struct {
		id    any
		parts []string
	}{
		"no such event": {987654321, []string{"ERROR P0002", "event 987654321 does not exist", "pruned"}},
		"null":          {nil, []string{"ERROR P0002", "event null does not exist"}},
		"pending":       {pending, []string{"ERROR 55000", fmt.Sprintf("event %d is pending already, due at 20", pending), "webhook.explain"}},
		"held":          {sending, []string{"ERROR 55006", "cannot be sent again: worker host:7 holds it until 20"}},
		"held document": {leased, []string{"ERROR 55006", lease}},
	} {
		before := db.everything()
		with(t, name, db.ask(`select webhook.retry($1)`, c.id), c.parts...)
		if db.everything() != before {
			t.Errorf("%s: something has changed", name)
		}
	}
}

func TestRetry_RefusesAnExportThatALaterOneHasFollowed(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for _, state := range []string{"pending", "refused", "leased", "sent", "superseded"} {
		data := fmt.Sprintf(`{"id": "D-%s"}`, state)
		older := db.inState("sent", "document.exported", data)
		later := db.inState(state, "document.exported", data)
		with(t, state, db.ask(`select webhook.retry($1)`, older), "ERROR 55000",
			fmt.Sprintf("event %d is not sent again: event %d is a later export of document D-%s", older, later, state))
		if db.status(older) != "sent" || len(db.trace(older)) != 0 {
			t.Errorf("%s: the older export has changed", state)
		}
	}
}

func TestRetry_InTwoSessionsAtOnceSendsTheEventOnce(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.inState("failed", "contact.created", `{}`)
	tx := db.MustBegin()
	tx.MustExec(`select webhook.retry($1)`, id)
	second := make(chan string, 1)
	go func() { second <- db.ask(`select webhook.retry($1)`, id) }()
	db.waitsForLock()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	with(t, "the second session", <-second, "is pending already")
	if got := db.trace(id); len(got) != 1 {
		t.Errorf("the trace is %q", got)
	}
}

// waitsForLock waits until a session of this database waits for another's transaction.
func (db *database) waitsForLock() {
	db.t.Helper()
	eventually(db.t, "a session waits", func() bool {
		return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
	})
}

func TestRetry_AndCancelRefuseARowWhoseClaimCommitsMeanwhile(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"retry", "cancel"} {
		db := ready(t, "https://re.example")
		id := db.publish("contact.created", `{}`)
		claim := db.MustBegin()
		claim.MustExec(`update webhook.outbox set status = 'sending', attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'host:8',
			claimed_at = now(), leased_until = now() + interval '90 seconds' where id = $1`, id)
		said := make(chan string, 1)
		go func() { said <- db.ask(`select webhook.`+verb+`($1)`, id) }()
		db.waitsForLock()
		if err := claim.Commit(); err != nil {
			t.Fatal(err)
		}
		with(t, verb, <-said, "ERROR 55006", "worker host:8 holds it until")
		if db.status(id) != "sending" || len(db.trace(id)) != 0 {
			t.Errorf("%s changed a row that a worker holds", verb)
		}
	}
}

func TestRetry_ThatHasNotCommittedIsNotClaimed(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	id := db.inState("failed", "contact.created", `{}`)
	tx := db.MustBegin()
	tx.MustExec(`select webhook.retry($1)`, id)
	db.once()
	if len(rcv.of(id)) != 0 {
		t.Error("it was sent although the retry has not committed")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	db.once()
	if db.status(id) != "failed" || len(rcv.of(id)) != 0 || len(db.trace(id)) != 0 {
		t.Errorf("rolled back, it is %s, received %d times, trace %q", db.status(id), len(rcv.of(id)), db.trace(id))
	}
}

func TestFinishedRow_IsChangedByNothingExceptItsResend(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for _, state := range []string{"sent", "failed", "skipped", "cancelled"} {
		db.inState(state, "contact.created", `{}`)
	}
	for _, state := range []string{"sent", "superseded", "cancelled"} {
		db.inState(state, "document.exported", fmt.Sprintf(`{"id": "D-%s"}`, state))
	}
	before := db.everything()
	for _, r := range db.rows() {
		for _, set := range []string{`status = 'pending', finished_at = null, synced_at = null, error = null`, `status = 'cancelled', synced_at = null`, `finished_at = now()`,
			`data = '{}'`, `error = null`, `attempts = 0`, `due_at = now()`, `http_status = 204`, `response = null`, `is_test = true`, `claimed_by = 'x'`} {
			got := db.ask(`update webhook.outbox set `+set+` where id = $1 returning id`, r.ID)
			if r.Status == "superseded" && (set == `is_test = true` || set == `data = '{}'`) { // the rules come first: without a document's id nothing is superseded
				with(t, r.Status+", "+set, got, "ERROR 23514", "outbox_only_a_document_is_superseded")
				continue
			}
			with(t, r.Status+", "+set, got, "ERROR 23001", "is finished ("+r.Status+") and does not change", fmt.Sprintf("select webhook.retry(%d)", r.ID))
		}
	}
	if db.everything() != before {
		t.Error("something has changed")
	}
}

// The guard reads a variable, which any session can set, and checks the rights of the table's owner, too.
func TestFinishedRow_IsNotChangedByARoleThatSetsTheVariable(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.inState("sent", "contact.created", `{}`)
	role := loginRole(t, db)
	db.exec(`grant usage on schema webhook to ` + role.name + `; grant select, update on webhook.outbox to ` + role.name + `; grant execute on all functions in schema webhook to ` + role.name)
	with(t, "the update", role.ask(`set webhook.resending = 'on'; update webhook.outbox set status = 'pending', finished_at = null`), "ERROR 23001")
	if db.status(id) != "sent" {
		t.Error("it was changed")
	}
}

func TestFinishedRow_IsNotChangedByAStatementOfAWorker(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := store.New(pool, time.Hour)
	id := db.publish("contact.created", `{}`)
	attempt := uuid.NewString()
	if _, err := s.Claim(t.Context(), attempt, []outbox.Capacity{{Channel: "contacts"}}); err != nil {
		t.Fatal(err)
	}
	outcome := func(v outbox.Verdict) []outbox.Outcome {
		return []outbox.Outcome{{EventID: id, ClaimID: attempt, Verdict: v, Result: outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: 500, Error: "HTTP 500"}}}
	}
	if _, err := s.Record(t.Context(), outcome(outbox.Failed)); err != nil {
		t.Fatal(err)
	}
	before := db.everything()
	for _, v := range []outbox.Verdict{outbox.Sent, outbox.Failed, outbox.Retry, outbox.Released} {
		if _, err := s.Record(t.Context(), outcome(v)); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
	for name, do := range map[string]func(context.Context) (int, error){
		"expire leases": func(ctx context.Context) (int, error) { return expireAll(ctx, s) },
		"skip":          s.Skip,
		"release":       func(ctx context.Context) (int, error) { return s.ReleaseClaims(ctx, []string{attempt}) },
		"prune":         func(ctx context.Context) (int, error) { return s.Prune(ctx, time.Hour) },
	} {
		if n, err := do(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if db.everything() != before {
		t.Error("something has changed")
	}
}

// failures are finished rows that retry_failed tells apart, an hour between one and the next, oldest first.
func failures(db *database) map[string]int64 {
	ids := map[string]int64{}
	for i, f := range []struct{ name, event, columns string }{
		{"contact 500", "contact.created", states["failed"]},
		{"contact 503", "contact.created", states["failed"] + `, http_status = 503, error = 'HTTP 503 Service Unavailable from https://a_b.example'`},
		{"audit 503", "audit.log", states["failed"] + `, http_status = 503, error = 'HTTP 503 Service Unavailable from https://axb.example'`},
		{"dns", "folder.created", states["failed"] + `, http_status = null, failure = 'dns', error = 'dns: no such host: x.example; nothing was sent'`},
		{"interrupted", "contact.created", states["unknown"]},
		{"timed out", "case.created", states["unknown"] + `, failure = 'timeout', error = 'timed out: 30s ran out while waiting for the answer of https://x.example; outcome unknown'`},
		{"no text", "case.created", states["unknown"] + `, failure = 'connection_lost', error = null`},
		{"not connected", "case.created", states["unknown"] + `, failure = 'timeout', received = 'no', error = 'timed out: 30s ran out while connecting to https://x.example; nothing was sent'`},
	} {
		id := db.publish(f.event, `{}`)
		db.become(id, f.columns+fmt.Sprintf(`, finished_at = date_trunc('hour', now()) - interval '%d hours'`, 20-i))
		ids[f.name] = id
	}
	for _, state := range []string{"pending", "sending", "sent", "skipped", "cancelled"} { // never touched
		db.inState(state, "contact.created", `{}`)
	}
	db.inState("refused", "document.exported", `{"id": 42}`)
	test := insertTest(db, "contact.created")
	db.become(test, states["failed"])
	return ids
}

func TestRetryFailed_PicksWhatItsFiltersSay(t *testing.T) {
	t.Parallel()
	const at = `date_trunc('hour', now()) - interval `
	for args, want := range map[string]string{
		``:                      "contact 500, contact 503, audit 503, dns, not connected",
		`channel => 'contacts'`: "contact 500, contact 503",
		`channel => 'contacts', include_unknown => true`:                         "contact 500, contact 503, interrupted",
		`include_unknown => true`:                                                "contact 500, contact 503, audit 503, dns, interrupted, timed out, no text, not connected",
		`include_unknown => null`:                                                "contact 500, contact 503, audit 503, dns, not connected",
		`http_status => 503`:                                                     "contact 503, audit 503",
		`http_status => 200`:                                                     "",
		`error_like => 'dns:%'`:                                                  "dns",
		`error_like => '%a\_b%'`:                                                 "contact 503",
		`error_like => 'timed out%'`:                                             "not connected",
		`failure => 'timeout'`:                                                   "not connected",
		`failure => 'timeout', include_unknown => true`:                          "timed out, not connected",
		`failure => 'connection_lost', include_unknown => true`:                  "no text",
		`failure => 'server_error', http_status => 503`:                          "contact 503, audit 503",
		`failure => 'tls'`:                                                       "",
		`error_like => 'HTTP 503'`:                                               "", // a pattern, not a part
		`since => ` + at + `'18 hours'`:                                          "audit 503, dns, not connected",
		`until => ` + at + `'18 hours'`:                                          "contact 500, contact 503",
		`since => ` + at + `'19 hours', until => ` + at + `'17 hours'`:           "contact 503, audit 503",
		`since => now(), until => now() - interval '1 day'`:                      "",
		`max_rows => 2`:                                                          "contact 500, contact 503", // the oldest first, over all channels
		`max_rows => 0`:                                                          "",
		`channel => 'notifications'`:                                             "",
		`channel => 'documents', include_unknown => true`:                        "",
		`'contacts', null, null, 503, 'server_error', '%503%', false, 10, false`: "contact 503",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			ids := failures(db)
			wanted := len(strings.FieldsFunc(want, func(r rune) bool { return r == ',' }))
			before := db.everything()
			dry := `dry_run => true`
			if args != "" {
				dry = args + ", " + dry
			}
			if strings.HasSuffix(args, "false") {
				dry = strings.TrimSuffix(args, "false") + "true"
			}
			if n := db.readOnly(`select webhook.retry_failed(` + dry + `)`); n != wanted || db.everything() != before {
				t.Errorf("a dry run says %d, want %d; changed anything: %t", n, wanted, db.everything() != before)
			}
			if n := db.number(`select webhook.retry_failed(` + args + `)`); n != wanted {
				t.Errorf("it says %d, want %d", n, wanted)
			}
			if got := db.retried(ids); got != want {
				t.Errorf("sent again: %s\nwant %s", got, want)
			}
			if n := db.count(`select count(*) from webhook.outbox where id = any(array(select outbox_id from webhook.interventions))
				and (status <> 'pending' or finished_at is not null or failure is not null or received is not null or error is not null or http_status is not null or response is not null or due_at > clock_timestamp())`); n != 0 {
				t.Errorf("%d of the rows are not as new", n)
			}
		})
	}
}

// retried names the events that have the trace of a resend and are pending, oldest first.
func (db *database) retried(ids map[string]int64) string {
	db.t.Helper()
	var again []int64
	if err := db.Select(&again, `
		select o.id from webhook.interventions i join webhook.outbox o on o.id = i.outbox_id
		 where i.action = 'retry' and i.was_status = 'failed' and i.was_finished_at < now() and i.actor = session_user and o.status = 'pending'
		 order by o.id`); err != nil {
		db.t.Fatal(err)
	}
	names := map[int64]string{}
	for name, id := range ids {
		names[id] = name
	}
	var all []string
	for _, id := range again {
		all = append(all, names[id])
	}
	return strings.Join(all, ", ")
}

func TestRetryFailed_IsRepeatedUntilItReturnsZero(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	for range 25 {
		db.inState("failed", "contact.created", `{}`)
		db.inState("failed", "audit.log", `{}`)
	}
	var returned []int
	for {
		n := db.number(`select webhook.retry_failed(max_rows => 20)`)
		returned = append(returned, n)
		if n == 0 {
			break
		}
	}
	if !slices.Equal(returned, []int{20, 20, 10, 0}) {
		t.Errorf("it returned %v", returned)
	}
	db.once()
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent'`); n != 50 || len(rcv.all()) != 50 {
		t.Errorf("%d sent, %d received", n, len(rcv.all()))
	}
}

// A call that says nothing else changes ten thousand rows at most.
func TestBatch_ChangesTenThousandRowsPerCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ state, call string }{
		{"failed", `select webhook.retry_failed()`},
		{"pending", `select webhook.discard()`},
		{"sent", `select webhook.prune('0')`},
	} {
		db := ready(t, "https://re.example")
		db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 10005)`)
		db.exec(`update webhook.outbox set ` + states[c.state])
		for _, want := range []int{10_000, 5, 0} {
			if n := db.number(c.call); n != want {
				t.Errorf("%s returned %d, want %d", c.call, n, want)
			}
		}
	}
}

func TestBatch_LeavesOutWhatAnotherSessionHasLocked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ state, event, call string }{
		"retry_failed": {"failed", "contact.created", `select webhook.retry_failed()`},
		"discard":      {"pending", "contact.created", `select webhook.discard()`},
		"prune":        {"sent", "contact.created", `select webhook.prune('0')`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			first := db.inState(c.state, c.event, `{}`)
			db.inState(c.state, c.event, `{}`)
			db.inState(c.state, c.event, `{}`)
			release := db.locked(`select from webhook.outbox where id = $1 for update`, first)
			if n := db.impatient("20s").number(c.call); n != 2 {
				t.Errorf("%d of three rows, one of them locked", n)
			}
			if got := db.status(first); got != c.state {
				t.Errorf("the locked row is %s", got)
			}
			if n := db.count(`select count(*) from webhook.outbox where status = $1`, c.state); n != 1 {
				t.Errorf("%d rows are as before", n)
			}
			release()
			if n := db.number(c.call); n != 1 {
				t.Errorf("%d after the lock is gone", n)
			}
		})
	}
}

func TestBatch_ALockedRowCountsForNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ state, call string }{
		{"failed", `select webhook.retry_failed(max_rows => 1)`},
		{"pending", `select webhook.discard(max_rows => 1)`},
		{"sent", `select webhook.prune('0', 1)`},
	} {
		db := ready(t, "https://re.example")
		first := db.inState(c.state, "contact.created", `{}`)
		db.inState(c.state, "contact.created", `{}`)
		release := db.locked(`select from webhook.outbox where id = $1 for update`, first)
		if n := db.impatient("20s").number(c.call); n != 1 {
			t.Errorf("%s: %d while the first row is locked", c.call, n)
		}
		release()
	}
}

func TestBatch_InvalidArgumentsAreAnErrorAndChangeNothing(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	failures(db)
	db.exec(`update webhook.outbox set due_at = now() - interval '1 hour' where finished_at is null`)
	before := db.everything()
	for call, part := range map[string]string{
		`webhook.retry_failed(channel => 'contact')`:      `unknown channel "contact"`,
		`webhook.retry_failed(channel => '')`:             `unknown channel ""`,
		`webhook.retry_failed(channel => 'Contacts')`:     `unknown channel "Contacts" HINT: One of documents, contacts, folders`,
		`webhook.retry_failed(failure => 'time out')`:     `unknown failure "time out" HINT: Class of the newest attempt's failure`,
		`webhook.retry_failed(failure => '')`:             `unknown failure ""`,
		`webhook.retry_failed(max_rows => -1)`:            `max_rows is -1, a number from 0 was expected`,
		`webhook.retry_failed(max_rows => null)`:          `max_rows is null`,
		`webhook.retry_failed(dry_run => null)`:           `dry_run is null`,
		`webhook.discard(channel => 'contact.created')`:   `unknown channel "contact.created"`,
		`webhook.discard(max_rows => -5)`:                 `max_rows is -5`,
		`webhook.discard(max_rows => null)`:               `max_rows is null`,
		`webhook.discard(dry_run => null)`:                `dry_run is null`,
		`webhook.prune(null)`:                             `older_than is null, an interval from 0 was expected`,
		`webhook.prune('-1 second')`:                      `an interval from 0 was expected`,
		`webhook.prune('1 month -40 days')`:               `an interval from 0 was expected`,
		`webhook.prune('30 days', -1)`:                    `max_rows is -1`,
		`webhook.prune('0', null)`:                        `max_rows is null`,
		`webhook.prune('300000 years')`:                   `out of range`,
		`webhook.send_test('contact')`:                    `unknown channel "contact"`,
		`webhook.send_test(null)`:                         `unknown channel`,
		`webhook.cancel(null)`:                            `event null does not exist`,
		`webhook.cancel(-1)`:                              `event -1 does not exist`,
		`webhook.retry(null)`:                             `event null does not exist`,
		`webhook.publish('contact.deleted', '{}')::text`:  `unknown event "contact.deleted"`,
		`webhook.publish(null, '{}')::text`:               `webhook.outbox: event is null`,
		`webhook.publish('contact.created', null)::text`:  `webhook.outbox: data is null`,
		`webhook.publish('contact.created', '[]')::text`:  `data is a JSON array`,
		`webhook.publish('contact.created', '{x}')::text`: `invalid input syntax for type json`,
	} {
		got := db.ask(`select ` + call)
		with(t, call, got, "ERROR", part)
	}
	if db.everything() != before {
		t.Error("something has changed")
	}
}

func TestRetryFailed_WarnsOfChannelsThatAreOffAndADryRunSaysWhatItWouldDo(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	failures(db)
	db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
	loud, said := noticing(t, db.address)
	if _, err := loud.Exec(`select webhook.retry_failed(dry_run => true)`); err != nil {
		t.Fatal(err)
	}
	with(t, "the dry run", said(), "would send 5 failed events again: 2 of contacts, 1 of folders, 1 of cases, 1 of audit_log; events that the receiver may have (received = maybe) are left out without include_unknown => true", "off, and become skipped unless the channels are turned on first: audit_log")
	if _, err := loud.Exec(`select webhook.retry_failed('contacts', dry_run => true, include_unknown => true)`); err != nil {
		t.Fatal(err)
	}
	with(t, "the dry run", said(), "would send 3 failed events again: 3 of contacts\n")
	db.publish("contact.created", `{}`)
	if _, err := loud.Exec(`select webhook.discard(dry_run => true)`); err != nil {
		t.Fatal(err)
	}
	with(t, "the dry run", said(), "would cancel 3 pending events: 1 of documents, 2 of contacts")
}
