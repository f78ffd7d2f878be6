package main

import (
	"context"
	"fmt"
	"time"
)

// front is what stands before the lane that is drained: a channel with a great
// many pending rows.
type front struct {
	name    string
	kind    kind
	prepare string // SQL, after the fill
	path    behaviour
	refill  bool // its rows go away by themselves
	release bool // they are held by Offline Mode until the worker runs
}

// fronts are the ways in which a channel can stand before the others.
var fronts = []front{
	{name: "nothing", kind: kind{"contacts", "contact.created"}},
	{name: "a dead channel: it never answers", kind: kind{"contacts", "contact.created"}, path: behaviour{Delay: blackHole}},
	{name: "documents that are switched off", kind: kind{"documents", "document.exported"},
		prepare: `update webhook.channels set enabled = false where name = 'documents'`},
	{name: "a channel that is off, its rows being skipped", kind: kind{"contacts", "contact.created"}, refill: true,
		prepare: `update webhook.channels set enabled = false where name = 'contacts'`},
	{name: "a slow channel (100 ms), just released from Offline Mode", kind: kind{"contacts", "contact.created"},
		path: behaviour{Delay: 100 * time.Millisecond}, release: true},
}

// inFront drains the audit log past a great many pending rows of another channel.
func inFront(ctx context.Context, s *stage, r *report) error {
	var all []drainer
	for i, f := range fronts {
		other, err := s.beside(ctx, fmt.Sprintf("front_%d", i))
		if err != nil {
			return err
		}
		if i > 0 {
			if err := other.fill(ctx, f.kind.event, s.blocked, 300); err != nil {
				return err
			}
		}
		all = append(all, other.past(f))
	}
	if err := s.compareTo(ctx, r, "audit_log, in front of it "+number(s.blocked)+" pending rows of", all, 1, "≥ 0.90"); err != nil {
		return err
	}
	r.notef("The rows that are being skipped cost a statement for each 2,000 of them, once.")
	return s.offline(ctx, r)
}

// past drains the audit log past a front.
func (s *stage) past(f front) drainer {
	d := s.further(f.name, kind{"audit_log", "audit.log"})
	d.paths = map[string]behaviour{"/" + f.kind.channel: f.path}
	fill := d.fill
	d.fill = func(ctx context.Context, n int) error {
		if f.refill {
			left, err := s.count(ctx, `select count(*) from webhook.outbox where event = $1 and status = 'pending'`, f.kind.event)
			if err != nil {
				return err
			}
			if err := s.fill(ctx, f.kind.event, s.blocked-int(left), 300); err != nil {
				return err
			}
		}
		if err := s.channel(ctx, f.kind.channel, "/"+f.kind.channel); err != nil {
			return err
		}
		if f.prepare != "" {
			if err := s.exec(ctx, f.prepare); err != nil {
				return err
			}
		}
		if f.release {
			if err := s.exec(ctx, `update webhook.settings set offline_mode = true`); err != nil {
				return err
			}
		}
		return fill(ctx, n)
	}
	if f.release {
		d.start = func(int) (*process, error) {
			w, err := s.worker()
			if err != nil {
				return nil, err
			}
			time.Sleep(time.Second) // it polls, and finds no row that it may claim
			return w, s.exec(context.Background(), `update webhook.settings set offline_mode = false`)
		}
	}
	return d
}

// offline is what it costs to hold everything, and how quickly a release works.
func (s *stage) offline(ctx context.Context, r *report) error {
	other, err := s.beside(ctx, "offline")
	if err != nil {
		return err
	}
	for _, k := range drainedKinds {
		if err := other.channel(ctx, k.channel, "/"+k.channel); err != nil {
			return err
		}
		if err := other.fill(ctx, k.event, s.blocked/2, 300); err != nil {
			return err
		}
	}
	if err := other.exec(ctx, `update webhook.settings set offline_mode = true`); err != nil {
		return err
	}
	if err := other.settle(ctx); err != nil {
		return err
	}
	if err := s.receiver.reset(ctx, 1, map[string]behaviour{"/audit_log": {Counted: true}, "/documents": {Counted: true}}); err != nil {
		return err
	}
	_, err = other.withWorker(ctx, func(w *process) (map[string][]time.Duration, error) {
		worker, server := w.cpu(), s.postgres.cpu()
		time.Sleep(s.steady)
		held, err := s.receiver.tally(ctx)
		if err != nil {
			return nil, err
		}
		workerShare := (w.cpu() - worker).Seconds() / s.steady.Seconds()
		serverShare := (s.postgres.cpu() - server).Seconds() / s.steady.Seconds()
		if err := other.exec(ctx, `update webhook.settings set offline_mode = false`); err != nil {
			return nil, err
		}
		released := time.Now()
		got, err := s.receiver.wait(ctx, time.Minute)
		if err != nil {
			return nil, err
		}
		r.table(table{
			{number(s.blocked) + " rows are held by Offline Mode", ""},
			{"POSTs meanwhile", number(held[""].Posts)},
			{"CPU of the worker, in % of one core", percent(workerShare)},
			{"CPU of PostgreSQL", percent(serverShare)},
			{"from the commit of the release to the first POST", milliseconds(max(time.Unix(0, got.First).Sub(released), 0))},
		})
		return nil, nil
	})
	return err
}
