package main

// machine is what was measured on one: CPU seconds for 1,000 events, from docs/performance.md.
type machine struct {
	workerDocument, workerOther     float64
	databaseDocument, databaseOther float64 // claim and outcome, in full batches
	claim                           float64 // of PostgreSQL for a claim and its record, whatever they hold; seconds
	insert                          float64 // of PostgreSQL for the application's insert, 1,000 events
	prune                           float64 // deletion and vacuum, 1,000 events
	poll                            float64 // worker and PostgreSQL, a poll that finds nothing; seconds
	peek                            float64 // the same of an instance that is asleep, one of many in a process
}

var (
	// "Throughput", 2026-11-26. What was measured on the faster machine alone is three times as much here,
	// as its drains are.
	slowMachine = machine{
		workerDocument: 0.143, workerOther: 0.116, databaseDocument: 0.143, databaseOther: 0.107,
		claim: 3 * 0.0012, insert: 3 * 0.029, prune: 3 * 0.011, poll: 3 * 0.037 / 50, peek: asleep,
	}
	// "Growth" and "Latency", 2026-11-25: a claim costs 0.8 ms and a record 0.4 ms before their rows; 3.7 %
	// of a core for 50 polls a second. "The application's side": 29 µs an insert. "Deletion": 11 ms for 1,000.
	fastMachine = machine{
		workerDocument: 0.053, workerOther: 0.042, databaseDocument: 0.058, databaseOther: 0.041,
		claim: 0.0012, insert: 0.029, prune: 0.011, poll: 0.037 / 50, peek: asleep,
	}
)

// asleep is from the table of docs/instances.md, 2026-11-28, on one machine only: 200 instances, polled once a
// second, take 8.7 % of a core in the worker and 12.4 % in PostgreSQL.
const asleep = (0.087 + 0.124) / 200

// What an event leaves, in bytes ("Deletion": rows of 0.5 KB of data).
const (
	logWritten = 730 + 950 // of the log, for the insert, the claim and the record
	logDeleted = 720 + 360 // of the log, for the deletion and the vacuum behind it
	logAttempt = 950       // of the log, for a further claim and outcome
	keptOnDisk = 1100      // the row and its index entries
	schemaSize = 1_220_000 // of an empty outbox in a database, PostgreSQL 18
	sessionMB  = 4.5       // of private memory, the largest of six sessions of a worker
	workerMB   = 35.0      // a worker that has little to do
	batchTime  = 0.02      // seconds between two polls of an instance that is awake
	cycle      = 10.0      // seconds from a failed attempt to the next
	perCycle   = 10_000    // attempts that fail in a cycle before a channel stops for the rest of it
)

// polling is how workers ask the databases.
type polling struct {
	awake     float64 // seconds of polls each 20 ms after an event
	idle      float64 // seconds between two polls of an instance that is not awake
	sessions  int     // of each instance
	processes bool    // a worker process for each instance
}

var (
	// One process serves many instances, each awake for five seconds after an event (instances/turn.go), and polled
	// once a second otherwise (the default of WEBHOOK_IDLE_POLL).
	fleet = polling{awake: 5, idle: 1, sessions: 1}
	// Each instance has a process. What its probes and polls cost is counted as polls: 1.2 % of a core ("Latency",
	// 2026-11-28), where a poll each 20 ms costs 3.7.
	ownProcess = polling{awake: 1, idle: batchTime * 3.7 / 1.2, sessions: 7, processes: true}
)

const thirtyDays = 30
