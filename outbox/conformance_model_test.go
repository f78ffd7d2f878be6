package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// modelSide is the simulation's model of the database under a clock that the suite sets.
type modelSide struct {
	*simDB
	mistake simFlaw
	at      time.Duration
	was     map[int64]RowTimes // before the step
}

// Model is a side that stands in for PostgreSQL.
func Model() Real { return &modelSide{} }

func (m *modelSide) Reset(all []ConformingChannel) {
	m.at = time.Hour + time.Microsecond // never a multiple of ten seconds
	s := &simSchedule{rng: rand.New(rand.NewPCG(1, 1)), lease: ConformanceLease}
	m.simDB = &simDB{s: s, flaw: m.mistake, clock: func() time.Duration { return m.at }}
	s.db = m.simDB
	for i, c := range all {
		m.channels = append(m.channels, simChannel{enabled: c.Enabled, maxInFlight: c.MaxInFlight})
		if c.AtLeastOnce {
			m.retried = i // the last one; documents are in any case
		}
	}
}

func (m *modelSide) pass(d time.Duration) {
	m.at += d
	m.was = map[int64]RowTimes{}
	for _, r := range m.rows {
		m.was[r.id] = r.times()
	}
}

// SetTimes is part of Real.
func (m *modelSide) SetTimes(now time.Duration, _ []RowTimes) { m.pass(now - m.at) }

func (r *simRow) times() RowTimes { return RowTimes{ID: r.id, Due: r.due, Lease: r.leasedUntil} }

// changeable are the rows that a statement could change now.
func (m *modelSide) changeable() (all []RowTimes) {
	for _, r := range m.rows {
		if !r.finished() && r.lockedBy == nil {
			all = append(all, r.times())
		}
	}
	return all
}

func (m *modelSide) Insert(events []ConformingEvent) {
	for _, ev := range events {
		r := simRow{isTest: ev.IsTest}
		r.channel = slices.IndexFunc(channels[:], func(c Channel) bool { return c.Event == ev.Event })
		_, _ = fmt.Sscanf(ev.Data, conformingData, &r.document) // 0, which is null, where there is no id
		m.insert(r)
	}
}

func (m *modelSide) Cancel(id int64) {
	next := *m.rows[id-1]
	next.status, next.finishedAt = "cancelled", m.clock()
	m.put(m.rows[id-1], next)
}

func (m *modelSide) ChangeSwitch(channel string, on bool) {
	c := slices.IndexFunc(channels[:], func(c Channel) bool { return c.Name == channel })
	m.beginFlip(simFlip{channel: c, value: on})
}

func (m *modelSide) CommitSwitch()    { m.commitFlip() }
func (m *modelSide) LockRow(id int64) { m.rows[id-1].lockedBy = simOtherSession }

func (m *modelSide) UnlockRows() {
	for _, r := range m.rows {
		r.lockedBy = nil
	}
}

func (m *modelSide) Cursor(row RowTimes) Cursor { return Cursor{DueAt: simDueAt(row.Due), ID: row.ID} }

func (m *modelSide) Claim(_ context.Context, claimID string, capacity []Capacity) ([]Event, error) {
	c := &simCall{claimID: claimID, capacity: capacity}
	if m.look(c) {
		m.pick(c)
		m.commit(c)
	}
	m.release(c)
	return c.events, c.err
}

func (m *modelSide) LookUpClaim(_ context.Context, claimID string) ([]Event, bool, error) {
	c := &simCall{claimID: claimID}
	m.claimed(c)
	return c.events, c.over, c.err
}

// Record goes on where the model waits for a lock, until it defers what is locked.
func (m *modelSide) Record(_ context.Context, outcomes []Outcome) (Unrecorded, error) {
	c := &simCall{outcomes: outcomes}
	for !m.record(c) {
		continue
	}
	return Unrecorded{Locked: c.locked, LeaseLost: c.leaseLost}, c.err
}

func (m *modelSide) ReleaseClaims(_ context.Context, claimIDs []string) (int, error) {
	c := &simCall{claimIDs: claimIDs}
	m.releaseClaims(c)
	return c.n, c.err
}

func (m *modelSide) Expired(context.Context) ([]string, error) {
	c := &simCall{}
	m.expired(c)
	return c.claimIDs, nil
}

func (m *modelSide) ExpireLeases(_ context.Context, claimIDs []string) ([]ExpiredLeases, error) {
	c := &simCall{claimIDs: claimIDs}
	m.expire(c)
	return c.leases, nil
}

func (m *modelSide) Skip(context.Context) (int, error) {
	c := &simCall{}
	m.skip(c)
	return c.n, nil
}

func (m *modelSide) Rows() (rows []ConformingRow) {
	for _, r := range m.rows {
		was := m.was[r.id]
		rows = append(rows, ConformingRow{
			ID: r.id, Status: r.status, Attempts: r.attempts, ClaimID: r.claimID,
			Due: Moved(was.Due, r.due, m.at, m.at), Lease: Moved(was.Lease, r.leasedUntil, m.at, m.at),
			Finished: r.finished(), Synced: r.syncedAt != 0, HTTPStatus: r.httpStatus,
			Failure: r.failure, Received: r.received, HasError: r.error != "",
		})
	}
	return rows
}
