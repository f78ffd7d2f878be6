package outbox

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// sequence is how the channels are set, and the steps.
type sequence struct {
	channels []ConformingChannel
	steps    []step
}

// GoString is what rapid prints of a sequence; its steps are printed as they are played.
func (s sequence) GoString() string { return fmt.Sprintf("%d steps", len(s.steps)) }

// step is a step as it was drawn. Its numbers name rows and claims that may not exist: then others
// stand in, or the step does nothing. So any step can be left out, which is how rapid shortens.
type step struct {
	kind     string
	channel  int
	row      int // a row, a document or a claim
	n        int
	yes      bool
	lanes    []laneStep // one per channel
	outcomes []outcomeStep
}

// laneStep is what one channel asks for in a claim; the zero value, for all that there is.
type laneStep struct {
	inFlight, retrying int
	retriesPaused      bool
	rows               int // that the byte budget allows for; 0: no limit
	cursor             int // a row; 0: none
}

type outcomeStep struct {
	row, verdict, result int
	stale                bool // of any claim, perhaps not the one that holds the row
}

// What is drawn, each line as often as it stands here: single steps, and what an event meets on its way.
var stepKinds = strings.Split(`
insert
insert
record
expire
claimed
release
switch
insert switch skip
lock
unlock
insert claim record
insert claim record
insert claim record
insert claim record
insert claim record
claim record time
claim record time
claim record time
claim record time
claim lease expire
insert insert cancel
claim record insert claim record time`, "\n")

// channelsPlayed get events: most of these are documents, which have more to them.
var channelsPlayed = [...]int{documentsChannel, 1, 6, documentsChannel}

var sequences = rapid.Custom(func(t *rapid.T) (s sequence) {
	retried := [...]int{documentsChannel, documentsChannel, 1, 6}[upTo(t, 3)]
	for i, c := range channels {
		s.channels = append(s.channels, ConformingChannel{
			Name: c.Name, Event: c.Event, Enabled: upTo(t, 7) < 7, MaxInFlight: 1 + upTo(t, 3),
			AtLeastOnce: i == documentsChannel || i == retried,
		})
	}
	for _, some := range rapid.SliceOfN(rapid.Custom(drawSteps), 12, 24).Draw(t, "steps") {
		s.steps = append(s.steps, some...)
	}
	return s
})

// drawSteps may draw nothing: so rapid can leave out more than its slice allows.
func drawSteps(t *rapid.T) (steps []step) {
	for _, kind := range strings.Fields(stepKinds[upTo(t, len(stepKinds)-1)]) {
		steps = append(steps, drawStep(t, kind))
	}
	return steps
}

func drawStep(t *rapid.T, kind string) step {
	s := step{kind: kind}
	switch kind {
	case "insert":
		s.channel, s.row, s.n, s.yes = channelsPlayed[upTo(t, 3)], [...]int{1, 1, 1, 1, 2, 0}[upTo(t, 5)], 1+upTo(t, 1), upTo(t, 7) == 7
	case "claim":
		s.lanes = drawLanes(t)
	case "record":
		for range 1 + upTo(t, 2) {
			s.outcomes = append(s.outcomes, outcomeStep{row: upTo(t, 9), verdict: upTo(t, 3), result: upTo(t, 15), stale: upTo(t, 4) == 4})
		}
	case "switch":
		s.channel, s.yes = [...]int{-1, documentsChannel, 1, 6}[upTo(t, 3)], upTo(t, 2) > 0
	default:
		s.row = upTo(t, 9)
	}
	return s
}

func drawLanes(t *rapid.T) []laneStep {
	lanes := make([]laneStep, len(channels))
	for _, i := range channelsPlayed[:3] {
		if upTo(t, 2) == 2 {
			lanes[i] = laneStep{
				inFlight: upTo(t, 2), retrying: upTo(t, 1), retriesPaused: upTo(t, 5) == 5,
				rows: max(upTo(t, 5)-2, 0), cursor: max(upTo(t, 15)-7, 0),
			}
		}
	}
	return lanes
}

// upTo draws from 0 to most with equal chances. rapid's own numbers are mostly small.
func upTo(t *rapid.T, most int) (n int) {
	for range 8 {
		n *= 2
		if rapid.Bool().Draw(t, "") {
			n++
		}
	}
	return n % (most + 1)
}
