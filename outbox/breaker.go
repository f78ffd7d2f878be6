package outbox

// failureBudget bounds what a receiver that rejects everything costs in one cycle: 10,000 retries and
// 10,000 first attempts may fail without a success in between. The rest waits for the next cycle.
const failureBudget = 10_000

// breaker is a lane's circuit breaker. It counts the attempts that ended in Retry since the last success
// or cycle.
type breaker struct {
	firstFailed   int
	retriesFailed int
}

// note counts an outcome.
func (b *breaker) note(ev Event, v Verdict) {
	switch {
	case v == Sent:
		b.reset()
	case v == Retry && ev.claimedBefore():
		b.retriesFailed++
	case v == Retry:
		b.firstFailed++
	}
}

// open: claim nothing.
func (b *breaker) open() bool { return b.firstFailed >= failureBudget }

// retriesPaused: claim no retries.
func (b *breaker) retriesPaused() bool { return b.retriesFailed >= failureBudget }

func (b *breaker) reset() { *b = breaker{} }
