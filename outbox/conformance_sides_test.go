package outbox

import (
	"context"
	"time"
)

// Conforming is a side: PostgreSQL, or the model of it.
type Conforming interface {
	Claim(ctx context.Context, claimID string, capacity []Capacity) ([]Event, error)
	LookUpClaim(ctx context.Context, claimID string) (events []Event, over bool, err error)
	Record(ctx context.Context, outcomes []Outcome) (Unrecorded, error)
	ReleaseClaims(ctx context.Context, claimIDs []string) (int, error)
	Expired(ctx context.Context) ([]string, error)
	ExpireLeases(ctx context.Context, claimIDs []string) ([]ExpiredLeases, error)
	Skip(ctx context.Context) (int, error)

	Reset(channels []ConformingChannel) // no rows, nothing locked, Offline Mode off
	Insert(events []ConformingEvent)    // at one instant
	Cancel(id int64)
	ChangeSwitch(channel string, on bool) // in a transaction that stays open; "" is Offline Mode
	CommitSwitch()
	LockRow(id int64) // in a transaction of another program
	UnlockRows()

	Cursor(row RowTimes) Cursor
	Rows() []ConformingRow // ordered by id
}

// Real is PostgreSQL. Its clock cannot be set, so the times in its rows are: what has come on the
// model's clock lies in the past, the rest in the future, in the model's order. So no step
// depends on how long the ones before it took.
type Real interface {
	Conforming
	SetTimes(now time.Duration, rows []RowTimes)
}

// RowTimes are the times of a row on the model's clock; a Lease of zero is null.
type RowTimes struct {
	ID         int64
	Due, Lease time.Duration
}

// ConformingChannel is a row of webhook.channels.
type ConformingChannel struct {
	Name, Event string
	Enabled     bool
	MaxInFlight int
	AtLeastOnce bool // as webhook.at_least_once has it: here not only documents may be
}

// ConformingEvent is what an application inserts.
type ConformingEvent struct {
	Event, Data string
	IsTest      bool
}

// ConformingRow is a row of webhook.outbox as it is compared: due_at and leased_until by what the
// step has made of them, see Moved.
type ConformingRow struct {
	ID               int64
	Status           string
	Attempts         int
	ClaimID          string
	Due, Lease       string
	Finished, Synced bool
	HTTPStatus       int
	Failure          Failure
	Received         Received
	HasError         bool
}

// ConformanceLease is how long a claim lasts on both sides.
const ConformanceLease = 90 * time.Second

// Moved says what a step between two instants has made of a time.
func Moved(was, is, from, to time.Duration) string {
	switch {
	case is == 0:
		return "null"
	case is == was:
		return "as before"
	case is%simCycle == 0 && from < is && is <= to+simCycle: // before "now": the mark may have come meanwhile
		return "next cycle"
	case from <= is && is <= to:
		return "now"
	case from+ConformanceLease <= is && is <= to+ConformanceLease:
		return "one lease"
	}
	return is.String()
}
