package main

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// plain is a model that can be computed by hand: one tenant, one event a second, half of them documents.
func plain() scenario {
	return scenario{
		model:   model{tenants: 1, hours: 48, perDay: 86_400, documents: 0.5, weekend: 1, night: 1},
		machine: machine{workerDocument: 0.2, workerOther: 0.1, databaseDocument: 0.4, databaseOther: 0.2, claim: 0.001, insert: 0.1, prune: 0.05, poll: 0.002, peek: 0.002},
		polling: polling{idle: 0.5, sessions: 1}, keptDays: 1,
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: %v, expected %v", what, got, want)
	}
}

func TestYear_IsThatComputedByHand(t *testing.T) {
	u := plain().run()
	near(t, "events", u.events, 48*3600)
	near(t, "of the busiest hour", u.peak.events, 3600)
	// 7,200 polls an hour cost 2 ms each, half of it the worker's; what they find costs a claim besides.
	near(t, "cores of empty polls", u.idleCores, 2*0.002)
	near(t, "the worker", u.peakWorker, 1.8*0.2+1.8*0.1+7.2)
	near(t, "PostgreSQL", u.peakDatabase, 1.8*0.4+1.8*0.2+3.6*0.1+3600*0.001+3.6*0.05+7.2)
	near(t, "log", u.log, 48*3600*(logWritten+logDeleted))
	near(t, "commits", u.peak.commits, 3*3600)
	near(t, "disk", u.disk, 24*3600*keptOnDisk+schemaSize)
}

func TestYear_BatchesShareTheirClaim(t *testing.T) {
	s := plain()
	s.perDay *= 100 // 100 a second: two in each 20 ms
	s.polling = polling{awake: 1e6, idle: 10}
	u := s.run()
	near(t, "commits", u.peak.commits, 360_000+2*180_000)
	near(t, "empty polls", u.idleCores, 0)
}

func TestYear_DeadEndpointIsTriedEachCycle(t *testing.T) {
	s := plain()
	s.downEvery = 0.5 // so that each hour begins an outage
	tenant := s.tenant(0)
	week := s.week()
	near(t, "attempts of the first hour", tenant.hour(0, &week).attempts, 900*360)
	near(t, "of the second", tenant.hour(1, &week).attempts, 2700*360)
	for range 10 {
		tenant.hour(2, &week)
	}
	near(t, "of a full channel", tenant.hour(3, &week).attempts, perCycle*360)
	l, _ := s.cost(hour{attempts: 1000})
	near(t, "what a thousand cost the worker", l.worker-7.2, 0.2)
	near(t, "their log", l.log, 1000*logAttempt)
}

func TestModel_SizesAreThoseOfTheDistribution(t *testing.T) {
	m := aYear
	var rates []float64
	sum := 0.0
	for i := range m.tenants {
		rate := m.tenant(i).rate * 24
		rates, sum = append(rates, rate), sum+rate
	}
	slices.Sort(rates)
	if median := rates[len(rates)/2]; median < 0.93*m.perDay || median > 1.07*m.perDay {
		t.Errorf("the median tenant has %.0f events a day, %.0f were asked for", median, m.perDay)
	}
	mean, want := sum/float64(m.tenants), m.perDay*math.Exp(m.spread*m.spread/2)
	if mean < 0.75*want || mean > 1.33*want {
		t.Errorf("the mean is %.0f events a day, the distribution has %.0f", mean, want)
	}
	week := m.week()
	total := 0.0
	for _, rate := range week {
		total += rate
	}
	near(t, "the average hour of a week", total/float64(len(week)), 1)
	if week[13] < 5*week[3] || week[13] < 4*week[5*24+13] {
		t.Errorf("noon %.2f, night %.2f, noon of a Saturday %.2f", week[13], week[3], week[5*24+13])
	}
}

func TestTable_SameSeedSameYear(t *testing.T) {
	table := func(seed uint64) string {
		m := aYear
		m.tenants, m.hours, m.seed = 50, 40*24, seed
		var out bytes.Buffer
		printTable(&out, scenarios(m, fleet))
		return out.String()
	}
	one, again := table(1), table(1)
	if one != again {
		t.Error("two years of one seed differ")
	}
	if one == table(2) {
		t.Error("two seeds give the same year")
	}
}

func TestBill_ScarcestThingDecides(t *testing.T) {
	hour := 3600.0
	for name, c := range map[string]struct {
		u                  usage
		tenants            int
		databases, workers int
	}{
		"next to nothing":  {usage{}, 1, 2, 2},
		"cores":            {usage{peakDatabase: 9 * hour, peakWorker: 3 * hour}, 1, 6, 4}, // of 8, half may be used
		"databases":        {usage{}, 1001, 6, 2},
		"memory":           {usage{memory: 33 << 30}, 1, 6, 2},
		"disk":             {usage{disk: 6e12}, 1, 4, 2},
		"worker processes": {usage{workerMemory: 9 << 30}, 1, 2, 4},
	} {
		if b := billOf(c.u, c.tenants); b.databases != c.databases || b.workers != c.workers {
			t.Errorf("%s: %d of PostgreSQL and %d of workers, expected %d and %d", name, b.databases, b.workers, c.databases, c.workers)
		}
	}
	near(t, "two machines of 8 cores, two of 2, no disk", billOf(usage{}, 1).perMonth, 10*machineHour*monthHours)
	near(t, "a terabyte more", billOf(usage{disk: 1e12}, 1).perMonth-billOf(usage{}, 1).perMonth, 2*1000/ofDisk*diskMonth)
}

// TestDocument_HasTheTableOfToday: the figures of docs/scale.md are written by this program; what can be
// compared without computing the year again is.
func TestDocument_HasTheTableOfToday(t *testing.T) {
	text, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	m := aYear
	m.tenants, m.hours = 1, 24
	var out bytes.Buffer
	printTable(&out, scenarios(m, fleet))
	_, table, found := strings.Cut(string(text), begin)
	table, _, closed := strings.Cut(table, end)
	if !found || !closed {
		t.Fatal("no markers")
	}
	want, got := strings.Split(strings.TrimSpace(out.String()), "\n"), strings.Split(strings.TrimSpace(table), "\n")
	if len(got) != len(want) {
		t.Fatalf("the document's table has %d lines, the program's %d: make tenants", len(got), len(want))
	}
	for i := range want {
		name := func(line string) string { return strings.Split(line+"|", "|")[1] }
		if i > 0 && name(got[i]) != name(want[i]) {
			t.Errorf("the document has %q, the program %q: make tenants", name(got[i]), name(want[i]))
		}
	}
	if columns := strings.Split(got[0], "|")[2:]; !slices.Equal(columns, strings.Split(want[0], "|")[2:]) {
		t.Errorf("the columns are %q: make tenants", columns)
	}
}
