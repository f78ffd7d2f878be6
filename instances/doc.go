// Package instances lets one process serve the databases of many instances: a list of names and URLs, each
// with a dispatcher and switches of its own. The path of an event knows nothing of it.
//
// An instance is in one of these states:
//
//		              its database answers          an event is due, and a place is free
//		┌──────────┐ ──────────────────▶ ┌────────┐ ──────────────────────────────────▶ ┌───────┐
//		│ starting │                     │ asleep │                                     │ awake │
//		└──────────┘     ┌─────────────▶ │        │ ◀────────────────────────────────── └───────┘
//		                 │               └────────┘  nothing to do for a while, or its      │
//		                 │ it answers      │         turn is over; in flight is recorded    │
//		          ┌─────────────┐          │ no answer                                      │ no answer
//		          │ unavailable │ ◀────────┴────────────────────────────────────────────────┘
//		          └─────────────┘
//
//	  - Starting: session mode, schema and privileges are checked, again and again until they are as they
//	    should be.
//	  - Asleep: one session. A query reads whether an event is due, ever more rarely (see pace): from every 20 ms just
//	    after an event to every Options.IdlePoll. That is the stated latency of an instance that was idle.
//	  - Waiting for a place (not drawn): asleep, and an event is due. No more than Options.Awake instances are
//	    awake at once, so that sessions, POSTs and memory are bounded; while others wait, a turn lasts
//	    turnFor. The places are given in the order of asking, and to instances whose last turn took long to drain, since
//	    their receivers hang, never more than half of them (places.go).
//	  - Awake: a dispatcher polls as that of a process with a single database does, with sessions of its own. In the end
//	    it claims nothing more, and what is in flight is recorded.
//	  - Unavailable: the database does not answer. It keeps no place; outcomes that are still to be recorded are kept and
//	    recorded once it is back.
//
// An instance that is no longer in the list, or that another process is to serve, claims nothing more and
// ends when what it has in flight is recorded, as a worker on SIGTERM. Where its URL leads to another database
// it is begun anew; a password is read for each new connection.
//
//	list.go      the list: names and URLs
//	file.go      the file that it is read from, again whenever it changes
//	fleet.go     what of the list is served here, and what all instances share
//	instance.go  the life of one
//	turn.go      when a turn is over
//	starts.go    who may start
//	places.go    who may be awake
//	members.go   the processes that share the list
//
// # Several processes
//
// Processes with the same list divide it among themselves by advisory locks, and need nothing else. Each
// process has a number, and holds the lock of that number in the databases of the first instances of the list
// (coordinators). Which processes there are, each reads from the locks; which of them serves an instance
// follows from the numbers and the name alone (owner), so that all that see the same processes
// agree, and where one comes or goes only its own part of the list moves. Processes that see different ones
// may both serve an instance for a while: that is what replicas of a worker do anyway. No promise
// depends on the locks.
package instances
