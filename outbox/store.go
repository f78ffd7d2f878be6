package outbox

import (
	"context"
	"errors"
	"time"
)

// ErrReplyLost says that a statement may or may not have been committed: the
// connection broke before the database's answer was complete.
var ErrReplyLost = errors.New("the database's reply was lost")

// ErrRejected says that the database has refused a write because of its values
// (SQLSTATE class 22 or 23). Repeating it unchanged is of no use.
var ErrRejected = errors.New("the database refused the values")

// ErrDenied says that the database has refused a write for a reason that lies
// neither in its values nor in the connection: a missing privilege, a trigger of
// somebody's. Nothing was written, and it may pass for one row and not for another.
var ErrDenied = errors.New("the database denied the write")

// Store is the database as the dispatcher sees it. Every method is one
// statement, atomic, on the database's clock.
type Store interface {
	// Claim leases the due events that fit into the lanes, under the name
	// claimID, and returns them with the endpoint their channel had in that
	// instant. Documents stay pending; the others are 'sending' once it returns.
	// Nil error: committed. ErrReplyLost: perhaps committed; ask Claimed.
	// Any other error: nothing was claimed.
	Claim(ctx context.Context, claimID string, lanes []Lane) ([]Event, error)

	// Claimed returns the events that are held under claimID, on a fresh
	// connection. No event and a nil error: nothing is, or nothing is yet.
	Claimed(ctx context.Context, claimID string) ([]Event, error)

	// Record writes outcomes, but for those whose rows somebody else's transaction
	// locks: these it returns. An outcome whose event is no longer held under its
	// attempt changes nothing and is no error: it was recorded before, or the
	// attempt was disowned. So it may be repeated. ErrRejected and ErrDenied: none
	// was written.
	Record(ctx context.Context, outcomes []Outcome) (locked []Outcome, err error)

	// Release returns to pending whatever is held under these attempts.
	Release(ctx context.Context, claimIDs []string) (events int, err error)

	// ExpireLeases ends the leases that have run out: documents are due again, one-attempt
	// events become failed.
	ExpireLeases(ctx context.Context) (events int, err error)

	// Skip finishes the pending one-attempt events of channels that are off.
	Skip(ctx context.Context) (events int, err error)

	// Prune deletes finished events that are older than this.
	Prune(ctx context.Context, olderThan time.Duration) (events int, err error)

	// Problems names the channels that are on but cannot be called as configured.
	Problems(ctx context.Context) (map[string]string, error)
}

// Lane is what one channel's share of this worker is at the moment of a claim.
type Lane struct {
	Channel  string
	Busy     int   // slots in use, less those that will be free in a moment
	Retrying int   // events held that had been claimed before
	GivenUp  bool  // no more documents are tried again before the next success or cycle
	Room     int64 // bytes of facts: no event is taken behind so many; 0 means no limit, below 0 no room
	Floor    Floor // fresh events up to here need not be looked at
}

// Floor is a place in the order in which a lane's fresh events are claimed. The
// zero value is before all of them.
type Floor struct {
	DueAt string // as Event.DueAt
	ID    int64
}

// Sender makes one HTTP attempt. It returns within its own time limit, never
// panics, and makes no second attempt.
type Sender interface {
	// Check says why a request to this URL with this token could not even be
	// made; nil if it could. The text shows neither the path nor the token.
	Check(url, token string) error
	// Send makes the attempt. The Result says all, errors included.
	Send(ctx context.Context, req Request) Result
}
