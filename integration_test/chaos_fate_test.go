package integration_test

import "time"

// The named points of the protocol. The program has no failpoints: each point is
// observed from outside, by the proxy between a worker and PostgreSQL or by the
// receiver, and the worker that is killed is the one whose connection it is.

// instant is a point of an exchange at which a fault can strike.
type instant string

const (
	asked     instant = "asked"     // the worker has sent the request, the server has nothing of it
	answered  instant = "answered"  // the server has executed it and answered, the worker has nothing of that
	delivered instant = "delivered" // the worker's socket has the answer
	posted    instant = "posted"    // the receiver has the whole POST, the worker has no answer
)

// step is a fault that strikes a worker at a point.
type step struct {
	where     instant
	statement string // of a request to the database
	rows      bool   // only an answer that holds rows
	kill      bool   // kill -9, and wait until the process is gone
	then      action // what becomes of the message
	hangUp    bool   // the worker loses the connection, the server keeps its half
	hold      time.Duration
	untilNext bool // hold the message until the next step has struck
	pastMark  bool // hold it until the ten-second mark has passed
}

// fate is what happens to a worker: steps, one after the other.
type fate struct {
	name  string
	steps []step
}

func single(name string, s step) fate { return fate{name, []step{s}} }

// claimLost is a claim that was executed and whose reply never arrived.
var claimLost = step{where: answered, statement: claimStatement, rows: true, then: cut}

// deaths are the named points at which workers are killed at any time.
var deaths = []fate{
	single("killed: session being set up", step{where: asked, statement: setupStatement, kill: true, then: cut}),
	single("killed: claim about to reach the server, lost", step{where: asked, statement: claimStatement, kill: true, then: cut}),
	single("killed: claim about to reach the server, executed for the dead", step{where: asked, statement: claimStatement, kill: true, then: pass}),
	single("killed: claim executed, reply not delivered", step{where: answered, statement: claimStatement, rows: true, kill: true, then: cut}),
	single("killed: claim reply delivered, no POST yet", step{where: delivered, statement: claimStatement, rows: true, kill: true}),
	single("killed: POST received whole, not answered", step{where: posted, kill: true, then: cut}),
	single("killed: POST answered, record lost on its way", step{where: asked, statement: recordStatement, kill: true, then: cut}),
	single("killed: POST answered, record executed for the dead", step{where: asked, statement: recordStatement, kill: true, then: pass}),
	single("killed: record executed, reply not delivered", step{where: answered, statement: recordStatement, kill: true, then: cut}),
	{"killed: look-up of a lost claim about to reach the server", []step{claimLost,
		{where: asked, statement: lookUpStatement, kill: true, then: cut}}},
	{"killed: look-up of a lost claim executed, reply not delivered", []step{claimLost,
		{where: answered, statement: lookUpStatement, rows: true, kill: true, then: cut}}},
	single("killed: skip executed, reply not delivered", step{where: answered, statement: skipStatement, kill: true, then: cut}),
}

// expiryDeaths come at ten-second marks, when workers expire leases.
var expiryDeaths = []fate{
	single("killed: expiry about to reach the server, executed for the dead", step{where: asked, statement: expireStatement, kill: true, then: pass}),
	single("killed: expiry executed, reply not delivered", step{where: answered, statement: expireStatement, kill: true, then: cut}),
}

// afterItsExpiry is a claim whose reply comes after its lease has ended: none of its POSTs may be
// started under that reply. Its worker has stopped waiting for it long before, and looks the claim up.
var afterItsExpiry = single("claim executed, reply withheld past its lease",
	step{where: answered, statement: claimStatement, rows: true, then: pass, pastMark: true})

// injuries are what a worker survives.
var injuries = []fate{
	single("claim lost on its way", step{where: asked, statement: claimStatement, then: cut}),
	single("claim executed, reply lost", claimLost),
	single("claim executed, then 57P01 in place of the reply", step{where: answered, statement: claimStatement, rows: true, then: terminate}),
	single("claim executed, reply too late to start its POSTs", step{where: answered, statement: claimStatement, rows: true, then: pass, hold: chaosBeginWithin + 100*time.Millisecond}),
	single("claim executed, reply withheld, then lost", step{where: answered, statement: claimStatement, rows: true, then: cut, hold: 300 * time.Millisecond}),
	{"claim executed after its look-up", []step{
		{where: asked, statement: claimStatement, hangUp: true, then: pass, untilNext: true},
		{where: answered, statement: lookUpStatement, then: pass}}},
	{"claim's look-up lost, too", []step{claimLost, {where: answered, statement: lookUpStatement, rows: true, then: cut}}},
	single("record lost on its way", step{where: asked, statement: recordStatement, then: cut}),
	single("record executed, reply lost", step{where: answered, statement: recordStatement, then: cut}),
	single("record executed, then 57P01 in place of the reply", step{where: answered, statement: recordStatement, then: terminate}),
}

// earlyInjuries come to a worker that has just started, when it skips events of channels that are off.
var earlyInjuries = []fate{
	single("skip executed, reply lost", step{where: answered, statement: skipStatement, then: cut}),
}
