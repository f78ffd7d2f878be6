package outbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The simulation proves as much as its model of the database (simDB) is worth. This suite compares
// the model with PostgreSQL: the same random sequences of statements on both, and after each step
// what it returned and every row. The steps follow one another; what claims at the same time do to
// each other is tested in integration_test.
//
//	conformance_sides     what a side can do, and what is compared
//	conformance_model     one side: the model
//	conformance_postgres  the other side: store.Store; and the test
//	conformance_steps     what is drawn
//	conformance_moves     a drawn step as a call, the same one on both sides; conformance_outcomes: a record

// Conform plays random sequences. A failing one is shortened and printed.
func Conform(t *testing.T, postgres Real, sequencesWanted int) {
	total := met{}
	rapid.Check(t, func(t *rapid.T) {
		e := play(sequences.Draw(t, "sequence"), postgres, "")
		total.add(e.met)
		if e.difference != "" {
			t.Log("the steps, and what the model returned:\n" + e.played.String())
			t.Fatalf("the model and PostgreSQL differ: %s", e.difference)
		}
	})
	t.Log(total)
	if missing := total.missing(); missing != "" && sequencesWanted >= 100 {
		t.Errorf("in all these sequences no row was %s", missing)
	}
}

// The proof that a mistake is found within so many sequences: one side is the model with the mistake,
// the other one the model without it, which behaves like PostgreSQL.
func TestModel_MistakesAreFound(t *testing.T) {
	for mistake, within := range map[simFlaw]int{
		expiryRequeues: 100, recordedUnderAnyClaim: 100, switchesNotLocked: 100, laterExportsOverlooked: 100,
		finishedExportsOverlooked: 1000, retriesFillTheLane: 200,
	} {
		t.Run(string(mistake), func(t *testing.T) {
			for seed := range within {
				if e := play(sequences.Example(seed), Model(), mistake); e.difference != "" {
					t.Logf("sequence %d: %s", seed, e.difference)
					return
				}
			}
			t.Errorf("not found in %d sequences", within)
		})
	}
}

// exercise is one sequence under way on both sides.
type exercise struct {
	model      *modelSide
	real       Real
	claims     []string // the ids of all claims
	played     strings.Builder
	difference string // the first one
	met        met
}

// play plays a sequence to its end or to the first difference.
func play(s sequence, postgres Real, mistake simFlaw) *exercise {
	e := &exercise{model: &modelSide{mistake: mistake}, real: postgres, met: met{}}
	e.model.Reset(s.channels)
	e.real.Reset(s.channels)
	for _, i := range channelsPlayed[:3] {
		fmt.Fprintf(&e.played, "   %+v\n", s.channels[i])
	}
	for i, st := range s.steps {
		if m := e.move(st); m.do != nil {
			fmt.Fprintf(&e.played, "%2d %s", i+1, m.text)
			if e.difference = e.step(m.do); e.difference != "" {
				break
			}
		}
	}
	return e
}

// step makes the same call on both sides and compares.
func (e *exercise) step(do func(Conforming) string) (difference string) {
	e.pass(time.Millisecond)
	want, got := do(e.model), do(e.real)
	fmt.Fprintf(&e.played, ": %s\n", want)
	if want != got {
		return "PostgreSQL returned: " + got
	}
	model, postgres := e.model.Rows(), e.real.Rows()
	if len(model) != len(postgres) {
		return fmt.Sprintf("%d rows in the model, %d in PostgreSQL", len(model), len(postgres))
	}
	for i, r := range model {
		if r != postgres[i] {
			difference += fmt.Sprintf("\nthe model:  %+v\nPostgreSQL: %+v", r, postgres[i])
		}
		e.met[r.Status]++
	}
	e.met["steps"]++
	if difference == "" && e.model.s.failure != "" {
		return "the model itself reports: " + e.model.s.failure
	}
	return difference
}

// pass lets time pass on both sides.
func (e *exercise) pass(d time.Duration) {
	e.model.pass(d)
	e.real.SetTimes(e.model.at, e.model.changeable())
}

// met counts the rows of each status after each step, and some results, so that a run can show
// that it is not vacuous.
type met map[string]int

func (m met) add(other met) {
	for what, n := range other {
		m[what] += n
	}
}

func (m met) missing() string {
	for _, what := range []string{"pending", "sending", "sent", "failed", "skipped", "superseded", "cancelled", "deferred", "rejected"} {
		if m[what] == 0 {
			return what
		}
	}
	return ""
}
