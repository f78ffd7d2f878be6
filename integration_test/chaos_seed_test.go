package integration_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// The times of the workers under chaos. The lease is a little more than the
// least that the program allows, so that the events of a dead worker are soon
// claimed by another.
const (
	chaosTimeout     = 500 * time.Millisecond
	chaosLease       = 2*chaosTimeout + 1100*time.Millisecond
	chaosBeginWithin = chaosLease - 2*chaosTimeout // rows of a later claim are released
)

// chaosSeed decides the schedule of the faults: SEED, drawn where it is "new", 1
// where it is not set. It does not decide at which instant of the other processes'
// work each fault strikes, so a seed repeats the kinds and the order of the faults,
// not every interleaving.
func chaosSeed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("SEED")
	switch text {
	case "":
		return 1
	case "new":
		return rand.Uint64N(1_000_000_000)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SEED is %q, expected a number or \"new\"", text)
	}
	return seed
}

// chaosDuration is how long faults strike: DURATION, or twenty seconds, which are
// two of the workers' ten-second cycles.
func chaosDuration(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("DURATION")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 10*time.Second {
		t.Fatalf("DURATION is %q, expected ten seconds or more, such as 60s or 10m", text)
	}
	return d
}

// chooser is one actor's own sequence of choices, independent of how often the others
// have chosen.
func chooser(seed, actor uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, actor)) }

// between is a random duration of this range.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)+1))
}

// weighted is one of several choices with its share.
type weighted[T any] struct {
	share int
	value T
}

func pick[T any](r *rand.Rand, choices []weighted[T]) T {
	total := 0
	for _, c := range choices {
		total += c.share
	}
	n := r.IntN(total)
	for _, c := range choices {
		if n -= c.share; n < 0 {
			return c.value
		}
	}
	panic("the shares do not add up")
}

// deck deals each of several choices as often as its share says, in an order that the
// seed decides: none is missing for long.
type deck[T any] struct {
	r     *rand.Rand
	cards []T
	left  []T
}

func newDeck[T any](r *rand.Rand, choices []weighted[T]) *deck[T] {
	d := &deck[T]{r: r}
	for _, c := range choices {
		for range c.share {
			d.cards = append(d.cards, c.value)
		}
	}
	return d
}

func (d *deck[T]) deal() (card T) {
	if len(d.left) == 0 {
		d.left = append(d.left, d.cards...)
		d.r.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	card, d.left = d.left[0], d.left[1:]
	return card
}

// each gives all choices the same share.
func each[T any](values []T) (choices []weighted[T]) {
	for _, v := range values {
		choices = append(choices, weighted[T]{1, v})
	}
	return choices
}
