//go:build ha

package integration_test

import (
	"slices"
	"strings"
	"time"
)

// haNumbers is what one scenario came to.
type haNumbers struct {
	scenario, way               string
	noCommit, noDelivery        float64 // seconds: the longest time without an acknowledged commit, and without a delivery
	acknowledged, unknown, lost int     // events; lost: acknowledged, and not in the database
	again                       int     // deliveries of documents beyond the first
	twice                       int     // one-attempt events that were received more than once
	interrupted                 int     // one-attempt events that are failed with received = 'maybe'
	gone                        int     // events that were received and are not in the database
	rate                        float64 // events a second that were committed before the fault
}

// outcome checks the events, and counts what became of them.
func (w *haWorld) outcome() haNumbers {
	n := haNumbers{noCommit: w.longest(w.book.commits()).Seconds(), noDelivery: w.longest(w.received()).Seconds(),
		acknowledged: w.book.count(acknowledged), unknown: w.book.count(unknown), rate: w.rate()}
	accounts := w.accounts()
	w.checkBook(&n, accounts)
	w.checkWebhookIDs()
	if w.lossy.IsZero() {
		w.check()
		if n.lost > 0 {
			w.t.Errorf("%d events were lost whose commits were acknowledged", n.lost)
		}
	} else {
		w.checkSurvivors(accounts)
	}
	for _, a := range accounts {
		switch {
		case a.Event == "document.exported":
			n.again += max(len(a.received)-1, 0)
		case len(a.received) > 1:
			n.twice++
		}
		if a.Status == "failed" && value(a.Received) == "maybe" {
			n.interrupted++
		}
	}
	return n
}

// checkBook: what an application knows of its commits is true, except for commits that were lost when they could be.
func (w *haWorld) checkBook(n *haNumbers, accounts map[int64]*account) {
	written := map[string]bool{}
	for _, a := range accounts {
		written[a.Nonce] = true
	}
	for nonce, known := range w.book.ends {
		switch {
		case known.end == notCommitted && written[nonce]:
			w.t.Errorf("an event is in the database whose transaction failed before its commit was sent: %s", nonce)
		case known.end != acknowledged || written[nonce]:
		default:
			n.lost++
			if !w.lossy.IsZero() && known.at.Before(w.lossy) {
				w.t.Errorf("an event was lost that was committed before any commit could be lost: %s", nonce)
			}
		}
	}
	gone := map[string]bool{}
	for _, d := range w.rcv.deliveries {
		if body := w.bodyOf(d); !written[nonce.FindString(body)] {
			gone[d.webhookID] = true
		}
	}
	n.gone = len(gone)
}

// checkWebhookIDs: a webhook-id never stands for two bodies, whatever was lost.
func (w *haWorld) checkWebhookIDs() {
	bodies := map[string]string{}
	for _, d := range w.rcv.deliveries {
		body := w.bodyOf(d)
		if first, seen := bodies[d.webhookID]; seen && first != body {
			w.t.Errorf("the webhook-id %s stands for two bodies:\n%s\n%s", d.webhookID, first, body)
		}
		bodies[d.webhookID] = body
	}
}

// bodyOf is the body of a delivery, which is kept once for each event.
func (w *haWorld) bodyOf(d *delivery) string {
	if d.body == "" {
		return w.rcv.of[d.id][0].body
	}
	return d.body
}

// checkSurvivors is check after commits were lost. Of what the database still has, each document was delivered,
// and a one-attempt event may have been received twice if the first time was before the loss: then its claim
// is among what was lost. Its second delivery has the webhook-id of the first.
func (w *haWorld) checkSurvivors(accounts map[int64]*account) {
	w.must(`create index if not exists audit_of_a_row on chaos.audit (id, seq)`)
	w.checkLedger(accounts)
	for _, a := range accounts {
		a.received = slices.DeleteFunc(slices.Clone(a.received), func(d *delivery) bool { return !strings.Contains(w.bodyOf(d), a.Nonce) })
		if a.Event == "document.exported" {
			w.checkDocument(a)
			continue
		}
		first := a.received
		if len(a.received) == 2 && w.repeats(a.received) {
			a.received = a.received[1:]
		}
		w.checkOneAttempt(a)
		a.received = first
	}
	w.checkAudit()
	w.checkSecrets()
}

// repeats reports whether of two deliveries the first was before the loss and the second after it, as the same event.
func (w *haWorld) repeats(d []*delivery) bool {
	return d[0].at.Before(w.struck) && d[1].at.After(w.struck) && d[0].webhookID == d[1].webhookID
}

// longest is the longest time between two of these instants from the beginning of the fault to the end of the traffic.
func (w *haWorld) longest(instants []time.Time) (gap time.Duration) {
	slices.SortFunc(instants, time.Time.Compare)
	last := w.struck
	for _, at := range instants {
		if at.After(w.struck) && at.Before(w.quiet) {
			gap, last = max(gap, at.Sub(last)), at
		}
	}
	return gap
}

// rate is that of the commits before the fault, from the first one on.
func (w *haWorld) rate() float64 {
	before := slices.DeleteFunc(w.book.commits(), func(at time.Time) bool { return at.After(w.struck) })
	slices.SortFunc(before, time.Time.Compare)
	return float64(len(before)) / w.struck.Sub(before[0]).Seconds()
}

func (w *haWorld) received() (instants []time.Time) {
	w.rcv.mu.Lock()
	defer w.rcv.mu.Unlock()
	for _, d := range w.rcv.deliveries {
		instants = append(instants, d.at)
	}
	return instants
}
