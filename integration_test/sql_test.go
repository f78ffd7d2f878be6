package integration_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// What the tests of the SQL functions and views share: rows in any state, and
// what a function did to them.

// states are what a pending event can become, as the worker or a person writes it.
var states = map[string]string{
	"pending":    `status = 'pending'`,
	"refused":    `attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'host:7', claimed_at = now(), http_status = 503, failure = 'server_error', received = 'no', error = 'HTTP 503 Service Unavailable from https://re.example'`,
	"leased":     held,
	"sending":    held + `, status = 'sending'`,
	"expired":    held + `, leased_until = now() - interval '1 minute'`,
	"died":       held + `, leased_until = now() - interval '1 minute', status = 'sending'`,
	"sent":       `status = 'sent', finished_at = now(), http_status = 200, received = 'yes', response = 'thanks', attempts = 1, synced_at = case event when 'document.exported' then now() end`,
	"failed":     `status = 'failed', finished_at = now(), http_status = 500, failure = 'server_error', received = 'no', error = 'HTTP 500 Internal Server Error from https://re.example', response = 'no', attempts = 1`,
	"unknown":    `status = 'failed', finished_at = now(), failure = 'interrupted', received = 'maybe', error = 'interrupted: outcome unknown', attempts = 1`,
	"skipped":    `status = 'skipped', finished_at = now()`,
	"superseded": `status = 'superseded', finished_at = now(), error = 'superseded: row 2 is a later export of this document; this one was never sent'`,
	"cancelled":  `status = 'cancelled', finished_at = now()`,
}

const held = `attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'host:7', claimed_at = now(), leased_until = now() + interval '1 hour'`

// inState publishes an event, in a state.
func (db *database) inState(state, event, data string) int64 {
	db.t.Helper()
	id := db.publish(event, data)
	db.become(id, states[state])
	return id
}

// become writes columns of one row.
func (db *database) become(id int64, columns string) {
	db.t.Helper()
	if columns == "" {
		db.t.Fatal("no such state")
	}
	// Written twice, a column counts as written last.
	last := map[string]string{}
	var names []string
	for _, c := range splitColumns(columns) {
		name, value, _ := strings.Cut(c, " = ")
		if _, again := last[name]; !again {
			names = append(names, name)
		}
		last[name] = value
	}
	var set []string
	for _, name := range names {
		set = append(set, name+" = "+last[name])
	}
	db.exec(`update webhook.outbox set `+strings.Join(set, ", ")+` where id = $1`, id)
}

// splitColumns cuts "a = 1, b = f(2, 3)" where a new column begins.
func splitColumns(columns string) (parts []string) {
	depth, quoted, from := 0, false, 0
	for i, c := range columns {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts, from = append(parts, strings.TrimSpace(columns[from:i])), i+1
		}
	}
	return append(parts, strings.TrimSpace(columns[from:]))
}

// everything is the outbox with all that hangs on it, and which transaction wrote each event.
func (db *database) everything() string {
	db.t.Helper()
	return query[string](db.t, db.address, `
		select coalesce((select string_agg(o.xmin || ' ' || o::text, e'\n' order by o.id) from webhook.outbox o), '') || e'\n' ||
		       coalesce((select string_agg(a::text, e'\n' order by a.outbox_id, a.run) from webhook.attempts a), '') || e'\n' ||
		       coalesce((select string_agg(i::text, e'\n' order by i.id) from webhook.interventions i), '')`)
}

// trace is what people did to an event: "retry by postgres: was failed (500, server_error, no, HTTP 500 …)".
func (db *database) trace(id int64) (all []string) {
	db.t.Helper()
	if err := db.Select(&all, `
		select format('%s by %s: was %s (%s, %s, %s, %s)', action, actor, was_status, was_http_status, was_failure, was_received, was_error)
		  from webhook.interventions
		 where outbox_id = $1 and at between now() - interval '10 minutes' and clock_timestamp() order by id`, id); err != nil {
		db.t.Fatal(err)
	}
	return all
}

// user is who this test is to the database.
func (db *database) user() string {
	db.t.Helper()
	return query[string](db.t, db.address, `select session_user`)
}

// number is the answer of a function that returns how many.
func (db *database) number(statement string, args ...any) int {
	db.t.Helper()
	return db.count(statement, args...)
}

// ask is a statement's one value, or its error as an operator reads it: message and hint.
func (db *database) ask(statement string, args ...any) string {
	db.t.Helper()
	var text sql.NullString
	if err := db.Get(&text, statement, args...); err != nil {
		return complaintOf(err)
	}
	return text.String
}

// complaintOf is an error with its SQLSTATE and hint.
func complaintOf(err error) string {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("ERROR %s: %s HINT: %s", pe.Code, pe.Message, pe.Hint)
}

// with sees that a text says all of these, and names what is missing.
func with(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s should say %q:\n%s", what, p, text)
		}
	}
}

// locked holds rows locked in a session of its own until release is called.
func (db *database) locked(statement string, args ...any) (release func()) {
	db.t.Helper()
	tx := db.MustBegin()
	tx.MustExec(statement, args...)
	return func() { _ = tx.Rollback() }
}

// impatient is the database in sessions that give up on a lock, and say so.
func (db *database) impatient(lockTimeout string) *database {
	db.t.Helper()
	return open(db.t, db.addressWith("lock_timeout", lockTimeout))
}

// addressWith is the address of sessions with a setting.
func (db *database) addressWith(setting, value string) string {
	db.t.Helper()
	u, err := url.Parse(db.address)
	if err != nil {
		db.t.Fatal(err)
	}
	q := u.Query()
	q.Set(setting, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// readOnly runs a query that gives a number in a transaction that may write nothing.
func (db *database) readOnly(statement string, args ...any) (n int) {
	db.t.Helper()
	tx, err := db.BeginTxx(db.t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		db.t.Fatal(err)
	}
	defer tx.Rollback()
	if err := tx.Get(&n, statement, args...); err != nil {
		db.t.Fatalf("%s in a read-only transaction: %v", statement, err)
	}
	return n
}

// noticing opens the database so that what it says beside its results is kept.
func noticing(t testing.TB, address string) (db *sqlx.DB, said func() string) {
	t.Helper()
	connector, err := pq.NewConnector(address)
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	db = sqlx.NewDb(sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, func(n *pq.Error) {
		fmt.Fprintf(log, "%s: %s\n", n.Severity, n.Message)
	})), "postgres")
	t.Cleanup(func() { _ = db.Close() })
	return db, log.String
}

// once delivers what is due, by a worker of its own that ends afterwards.
func (db *database) once() {
	db.t.Helper()
	if out, errs, status := runProgram(db.t, quick(db.address), nil, "run", "--once"); status != 0 && !strings.Contains(errs, "of the events that were due") {
		db.t.Fatalf("run --once: exit status %d: %s %s", status, out, errs)
	}
}
