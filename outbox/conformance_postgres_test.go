package outbox_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// TestModel_Conforms plays on the model and on the PostgreSQL at WEBHOOK_TEST_MODEL, a database that
// has the schema and that is changed; integration_test makes one. Without it the other side is the
// model too, which tests the suite alone.
//
//	SEQUENCES   how many sequences (200)
//	SEED        what they are drawn from (1); "new" draws it
func TestModel_Conforms(t *testing.T) {
	n, err := strconv.Atoi(env("SEQUENCES", "200"))
	if err != nil {
		t.Fatal(err)
	}
	seed := env("SEED", "1")
	if seed == "new" {
		seed = "0" // which rapid replaces
	}
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(n), "rapid.seed": seed, "rapid.nofailfile": "true", "rapid.shrinktime": "20s",
	} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	other := outbox.Model()
	if address := os.Getenv("WEBHOOK_TEST_MODEL"); address != "" {
		other = openPostgres(t, address)
	}
	outbox.Conform(t, other, n)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// postgres is the real side. What fails in it, except a statement of the store, is a panic.
type postgres struct {
	*store.Store
	db       *sqlx.DB
	switches *sqlx.Tx // an open change of a switch
	locks    *sqlx.Tx // holds locked rows
	now      time.Duration
	from     time.Duration // the database's clock before the step
	was      map[int64]outbox.RowTimes
	retried  string // the events that are delivered at least once
}

func openPostgres(t *testing.T, address string) *postgres {
	pool := must(store.Open(address))
	p := &postgres{Store: store.New(pool, outbox.ConformanceLease), db: must(sqlx.Open("postgres", address))}
	t.Cleanup(func() {
		p.rollBack()
		p.Store.Close()
		_ = pool.Close()
		_ = p.db.Close()
	})
	return p
}

// Reset makes webhook.at_least_once return what the sequence wants, so that a statement that decides
// by anything else is found. Here as below there are no parameters: they cost another round trip.
func (p *postgres) Reset(channels []outbox.ConformingChannel) {
	p.rollBack()
	p.was = map[int64]outbox.RowTimes{}
	var rows, retried []string
	for _, c := range channels {
		rows = append(rows, fmt.Sprintf("(%s, %t, %d)", pq.QuoteLiteral(c.Name), c.Enabled, c.MaxInFlight))
		if c.AtLeastOnce {
			retried = append(retried, pq.QuoteLiteral(c.Event))
		}
	}
	if list := strings.Join(retried, ", "); list != p.retried {
		p.retried = list
		p.db.MustExec(`
			create or replace function webhook.at_least_once(event text) returns boolean language sql immutable
			as $fn$ select $1 in (` + list + `) $fn$`)
	}
	p.db.MustExec(`
		truncate webhook.outbox, webhook.attempts restart identity;
		update webhook.settings set offline_mode = false, document_base_url = 'https://re.example';
		update webhook.channels c
		   set event = event, enabled = r.enabled, max_in_flight = r.most, url = 'https://re.example'
		  from (values ` + strings.Join(rows, ", ") + `) as r (name, enabled, most)
		 where c.name = r.name`)
}

func (p *postgres) rollBack() {
	for _, tx := range []*sqlx.Tx{p.switches, p.locks} {
		if tx != nil {
			_ = tx.Rollback()
		}
	}
	p.switches, p.locks = nil, nil
}

func (p *postgres) Insert(events []outbox.ConformingEvent) {
	var rows []string
	for _, ev := range events {
		rows = append(rows, fmt.Sprintf("(%s, %s, %t)", pq.QuoteLiteral(ev.Event), pq.QuoteLiteral(ev.Data), ev.IsTest))
	}
	p.db.MustExec(`insert into webhook.outbox (event, data, is_test) values ` + strings.Join(rows, ", "))
}

func (p *postgres) Cancel(id int64) { p.db.MustExec(fmt.Sprintf(`select webhook.cancel(%d)`, id)) }

func (p *postgres) ChangeSwitch(channel string, on bool) {
	p.switches = p.db.MustBegin()
	if channel == "" {
		p.switches.MustExec(`update webhook.settings set offline_mode = $1`, on)
	} else {
		p.switches.MustExec(`update webhook.channels set enabled = $1 where name = $2`, on, channel)
	}
}

func (p *postgres) CommitSwitch() {
	if err := p.switches.Commit(); err != nil {
		panic(err)
	}
	p.switches = nil
}

func (p *postgres) LockRow(id int64) {
	if p.locks == nil {
		p.locks = p.db.MustBegin()
	}
	p.locks.MustExec(fmt.Sprintf(`select from webhook.outbox where id = %d for update`, id))
}

func (p *postgres) UnlockRows() {
	if p.locks != nil {
		_ = p.locks.Rollback()
		p.locks = nil
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
