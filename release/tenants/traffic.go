package main

import (
	"math"
	"math/rand/v2"
)

// model is how many events there are. A few tenants have most of them; each works in its own time zone, in
// the day, less at weekends; now and then one imports what it has; now and then an endpoint is down.
type model struct {
	tenants, hours int
	perDay         float64 // of the median tenant
	spread         float64 // sigma of the lognormal distribution of the tenants' sizes
	documents      float64 // share of the events that are retried until a success
	weekend        float64 // of a working day
	night          float64 // of the day's busiest hour
	burstEvery     float64 // hours between the bursts of a tenant, on average
	burst          float64 // times as many events in that hour
	downEvery      float64 // hours between the outages of a tenant's endpoint, on average
	downFor        float64 // hours that it is down, on average
	seed           uint64
}

var aYear = model{
	tenants: 10_000, hours: 365 * 24, perDay: 200, spread: 2, documents: 0.2, weekend: 0.2, night: 0.1,
	burstEvery: 30 * 24, burst: 20, downEvery: 90 * 24, downFor: 6, seed: 1,
}

// tenant is one of them, from hour to hour.
type tenant struct {
	m           *model
	random      *rand.Rand
	rate        float64 // events an hour, on average
	shift       int     // hours of its time zone, and of its week
	down        int     // hours until the endpoint is up again
	undelivered float64 // documents that wait for it
}

func (m *model) tenant(i int) *tenant {
	random := rand.New(rand.NewPCG(m.seed, uint64(i))) //nolint:gosec // a model
	return &tenant{m: m, random: random, rate: m.perDay / 24 * math.Exp(m.spread*random.NormFloat64()), shift: random.IntN(24)}
}

// week is the rate of each hour of a week beside the average hour.
func (m *model) week() (week [7 * 24]float64) {
	sum := 0.0
	for h := range week {
		day := m.night + (1-m.night)*math.Max(0, math.Sin(math.Pi*float64(h%24-7)/12)) // from seven to seven
		if h%24 < 7 || h%24 > 19 {
			day = m.night
		}
		if h/24 >= 5 {
			day *= m.weekend
		}
		week[h] = day
		sum += day
	}
	for h := range week {
		week[h] *= float64(len(week)) / sum
	}
	return week
}

// hour is what happens at one tenant in one hour.
type hour struct {
	events   float64
	attempts float64 // of documents, in vain
}

func (t *tenant) hour(h int, week *[7 * 24]float64) (now hour) {
	now.events = t.rate * week[(h+t.shift)%len(week)]
	if t.chance(t.m.burstEvery) {
		now.events *= t.m.burst
	}
	if t.down == 0 && t.chance(t.m.downEvery) {
		t.down = 1 + int(t.random.ExpFloat64()*t.m.downFor)
	}
	if t.down > 0 {
		t.down--
		// Those of this hour wait for half of it, on average.
		waiting := t.undelivered + now.events*t.m.documents/2
		now.attempts = math.Min(waiting, perCycle) * 3600 / cycle
		t.undelivered += now.events * t.m.documents
	} else {
		t.undelivered = 0
	}
	return now
}

// chance is of something that happens once in so many hours.
func (t *tenant) chance(hours float64) bool { return hours > 0 && t.random.Float64()*hours < 1 }
