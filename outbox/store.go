package outbox

import (
	"context"
	"errors"
	"time"
)

// ErrReplyLost means that a statement may or may not have been committed, since the connection broke before
// the database's reply was complete.
var ErrReplyLost = errors.New("the database's reply was lost")

// ErrRejected means that the database rejected a write because of its values (SQLSTATE class 22 or 23).
// Repeating it unchanged cannot succeed.
var ErrRejected = errors.New("the database rejected the values")

// ErrDenied means that the database denied a statement for a reason that lies neither in its values nor in the
// connection: a missing privilege, or a trigger of the database's owner. Nothing was written, and
// another row may be accepted.
var ErrDenied = errors.New("the database denied it")

// ErrConflict means that other transactions were quicker each time a claim was tried. Nothing was
// written, and the next claim may succeed.
var ErrConflict = errors.New("other transactions were quicker")

// ErrNoSchema means that the database has no schema webhook, or has it no more.
var ErrNoSchema = errors.New("this database has no webhook schema; run: webhooks migrate")

// answered reports whether an error is the answer of a database that is available.
func answered(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrDenied) || errors.Is(err, ErrRejected)
}

// Store is the database as the dispatcher uses it. What is due, and every time that is written, is
// decided by the database's clock. Each method is atomic unless its comment says otherwise, and returns
// soon after ctx ends, even while the network is dead.
type Store interface {
	// Claim leases the due events that fit into the capacity of each lane, under the name claimID,
	// and returns them with the endpoint that their channel had in that instant. Events that are
	// delivered at least once stay pending; the others are 'sending' when it returns.
	// Nil: committed. ErrReplyLost: perhaps committed, see LookUpClaim. Any other error: nothing was
	// claimed; with ErrConflict, ErrDenied and ErrRejected the database is available.
	Claim(ctx context.Context, claimID string, capacity []Capacity) ([]Event, error)

	// LookUpClaim returns the events that are leased under claimID, the newest claim, read on a fresh
	// connection; where replication is synchronous, a standby has that claim. over: the session of that
	// claim has ended, so that what was not found never will be committed. No event, and not over: it
	// may still be.
	LookUpClaim(ctx context.Context, claimID string) (events []Event, over bool, err error)

	// Record writes outcomes, those that are not locked together or not at all, and returns what it has
	// not written. An outcome whose event is no longer leased under its claim changes nothing and is no
	// error. So it may be repeated. ErrRejected and ErrDenied: no outcome was written. Any other error:
	// perhaps written.
	Record(ctx context.Context, outcomes []Outcome) (Unrecorded, error)

	// ReleaseClaims returns to pending the events that are leased under these claims. The caller gave
	// these claims up before it sent any of their events.
	ReleaseClaims(ctx context.Context, claimIDs []string) (events int, err error)

	// Expired returns the claims whose leases are over.
	Expired(ctx context.Context) (claimIDs []string, err error)

	// ExpireLeases ends the leases of these claims that are over: events that are delivered at least
	// once are due again, the others become failed. It runs in batches, each atomic: an error leaves
	// the earlier ones committed, and they are returned with it.
	ExpireLeases(ctx context.Context, claimIDs []string) ([]ExpiredLeases, error)

	// CheckWrite commits a write that changes no row.
	CheckWrite(ctx context.Context) error

	// Newest returns the newest id that was assigned to an event, committed or not. While that is the one that
	// is known it waits, and compares so many times, so far apart; then it returns the known one. ErrDenied:
	// the role may not read it.
	Newest(ctx context.Context, known int64, every time.Duration, times int) (int64, error)

	// Skip finishes the pending events of channels that are off, except those that are delivered at
	// least once. It runs in batches, each atomic: an error leaves the earlier ones committed, and
	// events counts them.
	Skip(ctx context.Context) (events int, err error)

	// Prune deletes finished events that are older than this. In batches, as Skip.
	Prune(ctx context.Context, olderThan time.Duration) (events int, err error)

	// Overlooked returns the first event of each lane and priority that is due and stands before the
	// cursor: it committed late, was locked, or was released.
	Overlooked(ctx context.Context, capacity []Capacity) ([]Overlooked, error)

	// Pause lets no worker claim events of a channel, except those that are leased, for so long.
	Pause(ctx context.Context, channel string, d time.Duration) error

	// ChannelProblems returns, by channel, why a channel that is on cannot be called as it is configured.
	ChannelProblems(ctx context.Context) (map[string]string, error)
}

// Unrecorded are outcomes that were not written.
type Unrecorded struct {
	Locked    []Outcome // another transaction locks their rows; they are to be written again
	LeaseLost []Outcome // their lease ended before. Empty where an earlier try may have written them
}

// Capacity is what one lane of this worker may claim.
type Capacity struct {
	Channel       string
	Occupied      int    // slots that the claim treats as in use; laneClosed: claim nothing
	Retrying      int    // retries in slots, or waiting for one (see Event.claimedBefore)
	RetriesPaused bool   // claim no event that was claimed before
	ByteBudget    int64  // claim no event behind so many bytes of data; 0: no limit, below 0: claim nothing
	Retries       Cursor // of the events that were claimed before, claim only those behind it
	Fresh         Cursor // and of the fresh ones
}

// Overlooked is a place before a cursor at which an event is due.
type Overlooked struct {
	Channel string
	Retry   bool // it had been claimed before
	At      Cursor
}
