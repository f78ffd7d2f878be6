package outbox

import "time"

// simPost is one POST: begun by a worker, received or not.
type simPost struct {
	row      *simRow
	held     *simHolding
	at       time.Duration // when it was begun
	arrived  bool
	has      bool // the receiver has processed the event
	over     bool // the worker has its result, or will never have one
	result   Result
	counted  bool // the receiver answered with a counted success
	bodyHash uint64
	late     bool // it arrived after its time limit: its worker was frozen
}

// receive is the receiver: it reads a request and decides on its answer.
func (s *simSchedule) receive(p *simPost) {
	s.mayArrive(p)
	p.arrived = true
	s.met.arrived++
	defer func() {
		p.result.Took = []time.Duration{time.Millisecond, 15 * time.Millisecond, time.Second}[s.rng.IntN(3)]
	}()
	switch x := s.rng.IntN(100); {
	case s.resting || x < s.successPercent:
		p.counted, p.has = true, true
		p.result = Result{Received: ReceivedYes, Status: 200}
		if !s.resting && s.poisoned && s.rng.IntN(3) == 0 {
			p.result.Response = simPoison
		}
	case x%2 == 0:
		p.result = Result{Failure: FailureServerError, Received: ReceivedNo, Status: 503, Error: "HTTP 503"}
		if s.poisoned && s.rng.IntN(3) == 0 {
			p.result.Error = simPoison
		}
	default: // it has the event, and its answer breaks off
		p.has = true
		p.result = Result{Failure: FailureConnectionLost, Received: ReceivedMaybe, Error: "connection reset"}
		if s.poisoned && s.rng.IntN(3) == 0 {
			p.result.Error = simPoison
		}
	}
}

// noAnswer is the result of a POST that ran out of time.
var noAnswer = Result{Failure: FailureTimeout, Received: ReceivedMaybe, Error: "timeout"}
