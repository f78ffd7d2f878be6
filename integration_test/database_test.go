package integration_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// database is an application's connection to the database of one test.
type database struct {
	*sqlx.DB
	t       testing.TB
	address string
}

// ready is a database with the schema, all channels on and pointing at url.
func ready(t testing.TB, url string) *database {
	t.Helper()
	db := open(t, newDatabase(t))
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, url)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
	return db
}

func open(t testing.TB, address string) *database {
	t.Helper()
	connector, err := pq.NewConnector(address)
	if err != nil {
		t.Fatal(err)
	}
	db := &database{DB: sqlx.NewDb(sql.OpenDB(connector), "postgres"), t: t, address: address}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (db *database) exec(statement string, args ...any) {
	db.t.Helper()
	if _, err := db.Exec(statement, args...); err != nil {
		db.t.Fatalf("%s: %v", statement, err)
	}
}

// publish writes an event as an application does.
func (db *database) publish(event, data string) (id int64) {
	db.t.Helper()
	if err := db.Get(&id, `select webhook.publish($1, $2)`, event, data); err != nil {
		db.t.Fatal(err)
	}
	return id
}

// document publishes an export of a document.
func (db *database) document(id string) int64 {
	db.t.Helper()
	return db.publish("document.exported", `{"id": `+id+`, "status": "Export"}`)
}

// row is an event as an operator sees it.
type row struct {
	ID          int64
	Event       string
	Status      string
	DueAt       time.Time `db:"due_at"`
	Attempts    int
	ClaimID     *string    `db:"claim_id"`
	ClaimedBy   *string    `db:"claimed_by"`
	ClaimedAt   *time.Time `db:"claimed_at"`
	LeasedUntil *time.Time `db:"leased_until"`
	FinishedAt  *time.Time `db:"finished_at"`
	SyncedAt    *time.Time `db:"synced_at"`
	HTTPStatus  *int       `db:"http_status"`
	Failure     *string
	Received    *string
	Error       *string
	Response    *string
}

const rowColumns = `id, event, status, due_at, attempts, claim_id, claimed_by, claimed_at, leased_until, finished_at, synced_at, http_status, failure, received, error, response`

func (db *database) row(id int64) (r row) {
	db.t.Helper()
	if err := db.Get(&r, `select `+rowColumns+` from webhook.outbox where id = $1`, id); err != nil {
		db.t.Fatal(err)
	}
	return r
}

func (db *database) rows() (all []row) {
	db.t.Helper()
	if err := db.Select(&all, `select `+rowColumns+` from webhook.outbox order by id`); err != nil {
		db.t.Fatal(err)
	}
	return all
}

// count runs a query that returns one number.
func (db *database) count(query string, args ...any) (n int) {
	db.t.Helper()
	if err := db.Get(&n, query, args...); err != nil {
		db.t.Fatal(err)
	}
	return n
}

// status is the status of one row.
func (db *database) status(id int64) string { return db.row(id).Status }

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
