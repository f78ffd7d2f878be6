package integration_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// producer is an application. Each of its transactions writes events, and the same
// events into the ledger; some roll back, some lose their connection around COMMIT.
type producer struct {
	c      *chaos
	number int
	choose *rand.Rand
	proxy  *proxy
	db     *database
	events []string // those that are attempted once

	mu   sync.Mutex
	fate string // of the current transaction
	n    int
}

const (
	fateCommit     = "producer: transactions committed"
	fateRollback   = "producer: transactions rolled back"
	fateNever      = "producer: COMMIT lost on its way"
	fateLost       = "producer: COMMIT executed, reply lost"
	fateOther      = "producer: transactions that failed for another reason"
	hotDocuments   = 40
	oneInHot       = 3
	oneInDocuments = 4
)

func newProducer(c *chaos, number int) *producer {
	p := &producer{c: c, number: number, choose: chooser(c.seed, 100+uint64(number)), proxy: newProxy(c.t, c.address), events: oneAttempts()}
	p.proxy.onRequest(func(x *exchange) action { return p.commits(x, fateNever) })
	p.proxy.onAnswer(func(x *exchange) action { return p.commits(x, fateLost) })
	p.db = open(c.t, p.proxy.address)
	p.db.SetMaxOpenConns(1)
	return p
}

func (p *producer) commits(x *exchange, fatal string) action {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fate == fatal && x.executes && x.text == `commit` {
		return cut
	}
	return pass
}

// run writes until the faults are over.
func (p *producer) run() {
	for p.c.blowing() {
		f := pick(p.choose, []weighted[string]{{88, fateCommit}, {8, fateRollback}, {2, fateNever}, {2, fateLost}})
		p.mu.Lock()
		p.fate = f
		p.mu.Unlock()
		events, data := p.draw()
		pause := between(p.choose, 2*time.Millisecond, 24*time.Millisecond)
		if p.transact(events, data, f) {
			p.c.tally.hit(f)
		} else {
			p.c.tally.hit(fateOther)
			pause += 20 * time.Millisecond
		}
		p.c.pause(pause) // the rate of the traffic; no result depends on it
	}
}

// draw returns the events of one transaction, at most one of them a document, so that
// two transactions never deadlock on each other's documents.
func (p *producer) draw() (events, data []string) {
	for range 1 + p.choose.IntN(6) {
		p.n++
		event := p.events[p.choose.IntN(len(p.events))]
		nonce := fmt.Sprintf("n%d-%d.", p.number, p.n)
		id := fmt.Sprintf("%d-%d", p.number, p.n)
		if len(events) == 0 && p.choose.IntN(oneInDocuments) > 0 {
			event = "document.exported"
			if p.choose.IntN(oneInHot) == 0 {
				id = fmt.Sprintf("hot-%d", p.choose.IntN(hotDocuments))
			}
		}
		about := ""
		if p.choose.IntN(100) == 0 {
			about = strings.Repeat("What a long story this is. ", 600)
		}
		events = append(events, event)
		data = append(data, fmt.Sprintf(`{"id": %q, "status": "Export", "nonce": %q, "filename": %q, "name": %q, "title": %q, "rule_name": %q, "action": %q, "description": %q}`,
			id, nonce, nonce, nonce, nonce, nonce, nonce, about))
	}
	return events, data
}

// transact writes one transaction and ends it. It reports whether its fate was as
// intended, not whether it was committed: the ledger has that. The transaction is begun
// in SQL, since lib/pq's own BEGIN READ WRITE would write to a primary that was demoted
// by default_transaction_read_only.
func (p *producer) transact(events, data []string, f string) (asMeant bool) {
	ctx := context.Background() // the sessions end with the proxy
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return false
	}
	defer func() {
		if !asMeant || f == fateNever || f == fateLost { // its state is unknown, and it may lead to an old primary
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		_ = conn.Close()
	}()
	if _, err := conn.ExecContext(ctx, `begin`); err != nil {
		return false
	}
	for _, statement := range []string{lockDocuments, writeEvents} {
		if _, err := conn.ExecContext(ctx, statement, pq.Array(events), pq.Array(data)); err != nil {
			return false
		}
	}
	if f == fateRollback {
		_, err = conn.ExecContext(ctx, `rollback`)
		return err == nil
	}
	_, err = conn.ExecContext(ctx, `commit`)
	return (err == nil) == (f == fateCommit)
}

const (
	// An application changes the document's own row first: its lock makes the order of the
	// events the order of the commits.
	lockDocuments = `
		select pg_advisory_xact_lock(hashtext(f::json ->> 'id')) from unnest($1::text[], $2::text[]) as e (event, f)
		 where event = 'document.exported'`

	writeEvents = `
		with written as (
		  insert into webhook.outbox (event, data) select e, f::json from unnest($1::text[], $2::text[]) as e (e, f)
		  returning id, event, data, document_id
		)
		insert into chaos.ledger select id, event, data ->> 'nonce', document_id from written`
)
