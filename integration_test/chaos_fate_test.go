package integration_test

import "time"

// The named points of the protocol. The program has no failpoints: each point is
// seen from outside, by the proxy that stands between a worker and PostgreSQL or
// by the receiver, and the worker that is killed is the one whose connection it is.

// instant is where on the way of an exchange something is done.
type instant string

const (
	asked     instant = "asked"     // the worker has sent the request, the server has nothing of it
	answered  instant = "answered"  // the server has executed it and answered, the worker has nothing of that
	delivered instant = "delivered" // the worker's socket has the answer
	posted    instant = "posted"    // the receiver has the whole POST, the worker has no answer
)

// step is one thing that is done to a worker when it passes a point.
type step struct {
	where     instant
	statement string // of a request to the database
	rows      bool   // only an answer that holds rows
	kill      bool   // kill -9, and wait until the process is gone
	then      action // what becomes of the message in hand
	hangUp    bool   // the worker loses the connection, the server does not notice
	hold      time.Duration
	untilNext bool // hold the message until the next step has been taken
	pastMark  bool // hold it until others have swept at the ten-second mark
}

// fate is what a worker is waited for to meet: steps that are taken in turn.
type fate struct {
	name  string
	steps []step
}

func one(name string, s step) fate { return fate{name, []step{s}} }

// claimLost is a claim that was executed and whose reply never arrived.
var claimLost = step{where: answered, statement: claimStatement, rows: true, then: cut}

// deaths are the named points at which workers are killed at any time.
var deaths = []fate{
	one("killed: session being set up", step{where: asked, statement: setupStatement, kill: true, then: cut}),
	one("killed: claim about to reach the server, lost", step{where: asked, statement: claimStatement, kill: true, then: cut}),
	one("killed: claim about to reach the server, executed for the dead", step{where: asked, statement: claimStatement, kill: true, then: pass}),
	one("killed: claim executed, reply not delivered", step{where: answered, statement: claimStatement, rows: true, kill: true, then: cut}),
	one("killed: claim reply delivered, no POST yet", step{where: delivered, statement: claimStatement, rows: true, kill: true}),
	one("killed: POST received whole, not answered", step{where: posted, kill: true, then: cut}),
	one("killed: POST answered, record lost on its way", step{where: asked, statement: recordStatement, kill: true, then: cut}),
	one("killed: POST answered, record executed for the dead", step{where: asked, statement: recordStatement, kill: true, then: pass}),
	one("killed: record executed, reply not delivered", step{where: answered, statement: recordStatement, kill: true, then: cut}),
	{"killed: look-up of a lost claim about to reach the server", []step{claimLost,
		{where: asked, statement: lookUpStatement, kill: true, then: cut}}},
	{"killed: look-up of a lost claim executed, reply not delivered", []step{claimLost,
		{where: answered, statement: lookUpStatement, rows: true, kill: true, then: cut}}},
	one("killed: skip executed, reply not delivered", step{where: answered, statement: skipStatement, kill: true, then: cut}),
}

// sweepDeaths come at ten-second marks, when workers sweep.
var sweepDeaths = []fate{
	one("killed: sweep about to reach the server, executed for the dead", step{where: asked, statement: sweepStatement, kill: true, then: pass}),
	one("killed: sweep executed, reply not delivered", step{where: answered, statement: sweepStatement, kill: true, then: cut}),
}

// afterItsSweep is a claim whose reply comes when the lease has run out and
// another worker has swept it: none of its POSTs may be begun.
var afterItsSweep = one("claim executed, reply delivered after its sweep",
	step{where: answered, statement: claimStatement, rows: true, then: pass, pastMark: true})

// injuries are what a worker survives.
var injuries = []fate{
	one("claim lost on its way", step{where: asked, statement: claimStatement, then: cut}),
	one("claim executed, reply lost", claimLost),
	one("claim executed, then 57P01 in place of the reply", step{where: answered, statement: claimStatement, rows: true, then: terminate}),
	one("claim executed, reply too late to begin its POSTs", step{where: answered, statement: claimStatement, rows: true, then: pass, hold: chaosBeginWithin + 100*time.Millisecond}),
	one("claim executed, reply withheld, then lost", step{where: answered, statement: claimStatement, rows: true, then: cut, hold: 300 * time.Millisecond}),
	{"claim executed after its look-up", []step{
		{where: asked, statement: claimStatement, hangUp: true, then: pass, untilNext: true},
		{where: answered, statement: lookUpStatement, then: pass}}},
	{"claim's look-up lost, too", []step{claimLost, {where: answered, statement: lookUpStatement, rows: true, then: cut}}},
	one("record lost on its way", step{where: asked, statement: recordStatement, then: cut}),
	one("record executed, reply lost", step{where: answered, statement: recordStatement, then: cut}),
	one("record executed, then 57P01 in place of the reply", step{where: answered, statement: recordStatement, then: terminate}),
}

// earlyInjuries come to a worker that has just started, when it looks for events of channels that are off.
var earlyInjuries = []fate{
	one("skip executed, reply lost", step{where: answered, statement: skipStatement, then: cut}),
}
