package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// move is a step in words and as a call. Without a call there is nothing to do.
type move struct {
	text string
	do   func(Conforming) string
}

// done is a move that returns nothing.
func done(do func(Conforming), format string, args ...any) move {
	return move{fmt.Sprintf(format, args...), func(c Conforming) string { do(c); return "done" }}
}

// move decides what a step does, by the rows of the model.
func (e *exercise) move(s step) move {
	ctx := context.Background()
	switch s.kind {
	case "insert":
		return e.insert(s)
	case "claim":
		return e.claim(s)
	case "record":
		return e.record(s)
	case "switch":
		return e.changeSwitch(s)
	case "time":
		return e.letPass([...]time.Duration{simCycle, time.Second}[s.row%2])
	case "lease":
		return e.letPass(ConformanceLease)
	case "expire":
		return e.expire(ctx)
	case "skip":
		return move{"skip", func(c Conforming) string { return rowsAnd(c.Skip(ctx)) }}
	case "claimed", "release":
		return e.ofClaim(s)
	case "unlock":
		return done(Conforming.UnlockRows, "unlock the rows")
	}
	return e.ofRow(s) // lock, cancel
}

func (e *exercise) letPass(d time.Duration) move {
	return done(func(c Conforming) {
		if c == Conforming(e.model) {
			e.pass(d)
		}
	}, "%s pass", d)
}

// expire reads the claims whose leases are over, and ends those of the newer half of all claims. The times
// of a row that is locked cannot be set, so then nothing is read.
func (e *exercise) expire(ctx context.Context) move {
	locked := slices.ContainsFunc(e.model.rows, func(r *simRow) bool { return r.lockedBy != nil })
	newer := slices.Clone(e.claims[len(e.claims)/2:])
	return move{"expire leases", func(c Conforming) string {
		var over []string
		if !locked {
			var err error
			if over, err = c.Expired(ctx); err != nil {
				return err.Error()
			}
			slices.Sort(over) // it promises no order
		}
		leases, err := c.ExpireLeases(ctx, newer)
		slices.SortFunc(leases, func(a, b ExpiredLeases) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return fmt.Sprint(over, leases) + and(err)
	}}
}

// conformingData is as long as the data of the model's rows.
const conformingData = `{"id":%d,"status":"Export"}`

func (e *exercise) insert(s step) move {
	ev := ConformingEvent{Event: channels[s.channel].Event, Data: fmt.Sprintf(conformingData, s.row), IsTest: s.yes}
	if s.row == 0 {
		ev.Data = strings.Replace(ev.Data, "id", "no", 1)
	}
	return done(func(c Conforming) { c.Insert(slices.Repeat([]ConformingEvent{ev}, s.n)) }, "insert %d %+v", s.n, ev)
}

// changeSwitch begins a change of a switch, or commits the one that is open.
func (e *exercise) changeSwitch(s step) move {
	if e.model.flip != nil {
		return done(Conforming.CommitSwitch, "commit the switch")
	}
	name, on := "", !e.model.offline
	if s.channel >= 0 {
		name, on = channels[s.channel].Name, !e.model.channels[s.channel].enabled
	}
	return done(func(c Conforming) {
		c.ChangeSwitch(name, on)
		if s.yes {
			c.CommitSwitch()
		}
	}, "change the switch %q to %t, commit: %t", name, on, s.yes)
}

func (e *exercise) claim(s step) move {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(e.claims)+1)
	e.claims = append(e.claims, id)
	text := "claim " + id
	for i, l := range s.lanes {
		if l != (laneStep{}) {
			text += fmt.Sprintf(", %s %+v", channels[i].Name, l)
		}
	}
	return move{text, func(c Conforming) string {
		return eventsAnd(c.Claim(context.Background(), id, e.capacity(c, s.lanes)))
	}}
}

// capacity is what a dispatcher has free when it claims.
func (e *exercise) capacity(c Conforming, drawn []laneStep) (all []Capacity) {
	for i, l := range drawn {
		lane := Capacity{Channel: channels[i].Name, Occupied: l.inFlight, Retrying: l.retrying, RetriesPaused: l.retriesPaused}
		if l.rows > 0 { // the last row begins below the limit, whether a row has 26 bytes or a few more
			lane.ByteBudget = int64(l.rows*len(simData) - len(simData)/2)
		}
		if 0 < l.cursor && l.cursor <= len(e.model.rows) {
			lane.Fresh = c.Cursor(e.model.rows[l.cursor-1].times())
			if l.inFlight == 1 {
				lane.Retries = lane.Fresh
			}
		}
		all = append(all, lane)
	}
	return all
}

// ofClaim looks up or releases a claim. A release would wait for a locked row.
func (e *exercise) ofClaim(s step) move {
	locked := func(r *simRow) bool { return r.lockedBy != nil }
	if len(e.claims) == 0 || s.kind == "release" && slices.ContainsFunc(e.model.rows, locked) {
		return move{}
	}
	id := e.claims[s.row%len(e.claims)]
	if s.kind == "release" {
		return move{"release " + id, func(c Conforming) string { return rowsAnd(c.ReleaseClaims(context.Background(), []string{id})) }}
	}
	return move{"look up " + id, func(c Conforming) string {
		events, _, err := c.LookUpClaim(context.Background(), id)
		slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.ID, b.ID) }) // it promises no order
		return eventsAnd(events, err)
	}}
}

// ofRow locks or cancels a row that is not locked and may be claimed.
func (e *exercise) ofRow(s step) move {
	var free []*simRow
	for _, r := range e.model.rows {
		if r.status == "pending" && !r.held() && r.lockedBy == nil || s.kind == "lock" && r.held() && r.lockedBy == nil {
			free = append(free, r)
		}
	}
	if len(free) == 0 {
		return move{}
	}
	r := free[s.row%len(free)]
	if s.kind == "lock" {
		return done(func(c Conforming) { c.LockRow(r.id) }, "lock row %d", r.id)
	}
	return done(func(c Conforming) { c.Cancel(r.id) }, "cancel row %d", r.id)
}

// eventsAnd puts the events in order of their channels. Within a channel the order counts.
// eventsAnd leaves out what a claim superseded: the rows say so.
func eventsAnd(events []Event, err error) string {
	events = slices.DeleteFunc(events, func(ev Event) bool { return ev.Superseded })
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Channel, b.Channel) })
	text := fmt.Sprintf("%d events", len(events))
	for _, ev := range events {
		text += fmt.Sprintf(", %d (%s, test: %t, at least once: %t, attempt %d of claim %s, %d slots)",
			ev.ID, ev.Channel, ev.IsTest, ev.AtLeastOnce, ev.Attempts, ev.ClaimID, ev.Endpoint.MaxInFlight)
	}
	return text + and(err)
}

func rowsAnd(n int, err error) string { return fmt.Sprintf("%d rows%s", n, and(err)) }

func and(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrRejected):
		return ", rejected"
	}
	return ", " + err.Error()
}
