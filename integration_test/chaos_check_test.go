package integration_test

import (
	"fmt"
	"slices"
	"strings"
)

// account is a committed event with everything that is known about it.
type account struct {
	row
	Nonce      string
	DocumentID *string `db:"document_id"`
	Claims     int     // without the released ones
	received   []*delivery
}

// check compares database and receipts with the ledger, and counts the one-attempt
// events that were attempted, and those that were sent.
func (c *chaos) check() (sent, attempts int) {
	c.must(`create index if not exists audit_of_a_row on chaos.audit (id, seq)`)
	accounts := c.accounts()
	c.checkLedger(accounts)
	c.checkReceipts(accounts)
	for _, a := range accounts {
		if a.Event == "document.exported" {
			c.checkDocument(a)
			continue
		}
		c.checkOneAttempt(a)
		if a.Status != "skipped" {
			attempts++
		}
		if a.Status == "sent" {
			sent++
		}
	}
	c.checkOrder(accounts)
	c.checkAudit()
	c.checkSecrets()
	return sent, attempts
}

func (c *chaos) accounts() map[int64]*account {
	var list []*account
	err := c.db.Select(&list, `
		select o.id, o.event, o.status, o.due_at, o.attempts, o.claim_id, o.claimed_by, o.claimed_at, o.leased_until, o.finished_at,
		       o.synced_at, o.http_status, o.failure, o.received, o.error, o.response, l.nonce, o.document_id, coalesce(a.claims, 0) as claims
		  from chaos.ledger l join webhook.outbox o using (id)
		  left join (select id, count(*) filter (where kind = 'claimed') - count(*) filter (where kind = 'released') as claims
		               from chaos.audit group by id) a using (id)`)
	if err != nil {
		c.t.Fatal(err)
	}
	accounts := map[int64]*account{}
	for _, a := range list {
		a.received = c.rcv.of[a.ID]
		accounts[a.ID] = a
	}
	return accounts
}

// checkLedger: the outbox has what was committed, and nothing else.
func (c *chaos) checkLedger(accounts map[int64]*account) {
	if rows, written := c.ask(`select count(*) from webhook.outbox`), c.ask(`select count(*) from chaos.ledger`); rows != written || written != len(accounts) {
		c.t.Errorf("the ledger has %d events, the outbox %d, both of them %d", written, rows, len(accounts))
	}
}

// checkReceipts: what was rolled back never arrived, and the bytes of an event are always the same.
func (c *chaos) checkReceipts(accounts map[int64]*account) {
	for id, received := range c.rcv.of {
		a := accounts[id]
		if a == nil {
			c.t.Errorf("event %d was received, but its transaction was never committed: %s", id, received[0].body)
			continue
		}
		if !strings.Contains(received[0].body, a.Nonce) {
			c.t.Errorf("event %d does not have the data that was committed under this id (%s): %s", id, a.Nonce, received[0].body)
		}
		if slices.ContainsFunc(received, func(d *delivery) bool { return d.differs }) {
			c.t.Errorf("event %d was sent with different bytes", id)
		}
	}
	if n := c.rcv.moved.Load(); n != 0 {
		c.t.Errorf("%d redirects were followed", n)
	}
}

func (a *account) answeredWith(holds func(int) bool) bool {
	return slices.ContainsFunc(a.received, func(d *delivery) bool { return holds(d.answered) })
}

// String is the event with its deliveries, for the analysis of a failure.
func (a *account) String() string {
	s := fmt.Sprintf("event %d (%s, document %s): %s after %d claims, http_status %d, failure %s, received %s, error %q, received %d times:",
		a.ID, a.Event, value(a.DocumentID), a.Status, a.Attempts, value(a.HTTPStatus), value(a.Failure), value(a.Received),
		value(a.Error), len(a.received))
	for _, d := range a.received {
		s += fmt.Sprintf(" %s–%s answered %d;", d.at.UTC().Format("15:04:05.000"), d.until.UTC().Format("15:04:05.000"), d.answered)
	}
	return s
}

// checkOneAttempt: received at most once, ever; and what the row says is true.
func (c *chaos) checkOneAttempt(a *account) {
	says := value(a.Received)
	switch {
	case len(a.received) > 1:
		c.t.Errorf("received more than once: %s", a)
	case a.Claims > 1:
		c.t.Errorf("claimed more than once: %s", a)
	case a.Status == "sent":
		if !a.answeredWith(counted) || value(a.HTTPStatus) != a.received[0].answered {
			c.t.Errorf("sent without a counted receipt: %s", a)
		}
	case a.Status == "failed" && a.HTTPStatus != nil:
		if !a.answeredWith(func(status int) bool { return status == *a.HTTPStatus }) || counted(*a.HTTPStatus) {
			c.t.Errorf("failed with a status that no receipt has: %s", a)
		}
		if isSuccess := *a.HTTPStatus/100 == 2; isSuccess != (says == "yes") || !isSuccess && says != "no" {
			c.t.Errorf("received does not follow from the status: %s", a)
		}
	case a.Status == "failed" && says == "no":
		if len(a.received) > 0 {
			c.t.Errorf("received, but its row has received = 'no': %s", a)
		}
	case a.Status == "failed" && says == "maybe" && value(a.Failure) == "interrupted":
		if len(a.received) == 1 && a.received[0].at.After(*a.FinishedAt) && !c.wasFrozen(*a.ClaimedBy) {
			c.t.Errorf("its POST was begun after its lease had been expired: %s", a)
		}
	case a.Status == "failed" && says == "maybe":
	case a.Status == "skipped":
		if len(a.received) > 0 || a.Claims > 0 {
			c.t.Errorf("skipped, but it was claimed: %s", a)
		}
	default:
		c.t.Errorf("not a final state of a one-attempt event: %s", a)
	}
}

// checkDocument: received with success at least once, or followed by a later export.
func (c *chaos) checkDocument(a *account) {
	switch a.Status {
	case "sent":
		before := slices.ContainsFunc(a.received, func(d *delivery) bool {
			return counted(d.answered) && !d.at.After(*a.SyncedAt) && d.answered == value(a.HTTPStatus)
		})
		if !before {
			c.t.Errorf("synced_at is untrue: %s", a)
		}
	case "superseded":
		if c.ask(`select count(*) from webhook.outbox where document_id = $1 and id > $2`, *a.DocumentID, a.ID) == 0 {
			c.t.Errorf("superseded without a later export: %s", a)
		}
	default:
		c.t.Errorf("not a final state of a document: %s", a)
	}
}

// checkOrder: the exports of one document arrive in order and never two at once.
// Left out because it is not promised: documents of which a worker held an export
// while it was frozen past its lease, and what a receiver does with a POST after our
// timeout.
func (c *chaos) checkOrder(accounts map[int64]*account) {
	excused := c.heldWhileFrozen()
	documents := map[string][]*account{}
	for _, a := range accounts {
		if a.DocumentID != nil && !excused[*a.DocumentID] {
			documents[*a.DocumentID] = append(documents[*a.DocumentID], a)
		}
	}
	for _, exports := range documents {
		type export struct {
			*delivery
			of *account
		}
		var all []export
		for _, a := range exports {
			for _, d := range a.received {
				all = append(all, export{d, a})
			}
		}
		slices.SortFunc(all, func(x, y export) int { return x.at.Compare(y.at) })
		for i := 1; i < len(all); i++ {
			switch before, this := all[i-1], all[i]; {
			case this.id < before.id:
				c.t.Errorf("a stale export after a fresh one:\n%s\n%s", before.of, this.of)
			case this.at.Before(before.until) && this.at.Before(before.at.Add(chaosTimeout)):
				c.t.Errorf("two exports of one document at once:\n%s\n%s", before.of, this.of)
			}
		}
	}
}

// wasFrozen reports whether a worker was ever frozen.
func (c *chaos) wasFrozen(worker string) bool {
	return slices.ContainsFunc(c.frozen, func(f freezing) bool { return strings.HasSuffix(worker, fmt.Sprint(":", f.pid)) })
}

// heldWhileFrozen are the documents whose leases a worker held while it was frozen.
func (c *chaos) heldWhileFrozen() map[string]bool {
	excused := map[string]bool{}
	for _, f := range c.frozen {
		var documents []string
		err := c.db.Select(&documents, `
			select distinct l.document_id from chaos.audit a join chaos.ledger l using (id)
			 where a.kind = 'claimed' and a.claimed_by like '%:' || $1::text and a.at between $2::timestamptz - interval '1 minute' and $3
			   and l.document_id is not null
			   and coalesce((select min(b.at) from chaos.audit b where b.id = a.id and b.seq > a.seq), 'infinity') >= $2`,
			fmt.Sprint(f.pid), f.from, f.to)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range documents {
			excused[d] = true
		}
	}
	return excused
}

// checkAudit: a finished row never changes, and no row makes an unexpected transition.
func (c *chaos) checkAudit() {
	for _, kind := range []string{"changed after its end", "unexpected"} {
		if n := c.ask(`select count(*) from chaos.audit where kind = $1`, kind); n != 0 {
			c.t.Errorf("%d changes of a row are: %s", n, kind)
		}
	}
}

// checkSecrets: none is in a text that a person may read.
func (c *chaos) checkSecrets() {
	for _, secret := range c.secrets {
		n := c.ask(`select (select count(*) from webhook.outbox where concat(error, response) ilike '%' || $1 || '%')
		                 + (select count(*) from webhook.attempts where error ilike '%' || $1 || '%')`, secret)
		if n != 0 {
			c.t.Errorf("%d rows show the secret %s", n, secret)
		}
	}
}
