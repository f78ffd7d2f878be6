package store

import "time"

// DefaultLease is the lease from which the limits of a session follow where no other is given.
const DefaultLease = 90 * time.Second

// The sizes of the pools: a worker's, with three pinned connections, and any other's.
const (
	workerConnections = 7
	maxConnections    = 6
)

// endWithin is what remains of each limit when the context of a call ends: enough for the server to
// cancel the statement.
const endWithin = 200 * time.Millisecond

// limits bound everything that waits for the database. They follow from the lease: an outcome whose
// record stalls on a dead connection must be recorded on another one before its lease is over.
type limits struct {
	dial      time.Duration // one address
	network   time.Duration // a single read or write, and making a connection until its session is set up
	statement time.Duration // shorter, so that network passes only when the network is dead, or a commit hangs
	lock      time.Duration // every lock the worker waits for is held for an instant, or by a forgotten session
}

func limitsOf(lease time.Duration) limits {
	network := min(lease*2/9, 20*time.Second)
	statement := network * 3 / 4
	return limits{dial: min(network, 5*time.Second), network: network, statement: statement, lock: min(statement/2, 500*time.Millisecond)}
}

// ConnectsWithin is how long a worker with that lease waits until an address accepts a connection.
func ConnectsWithin(lease time.Duration) time.Duration { return limitsOf(lease).dial }
