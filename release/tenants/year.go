package main

import "math"

// scenario is a model with what each part of it costs.
type scenario struct {
	name string
	model
	machine
	polling
	keptDays int
}

// load is what one hour costs.
type load struct {
	events, worker, database, log, commits float64 // count, CPU seconds, CPU seconds, bytes, count
}

func (l *load) add(o load) {
	l.events += o.events
	l.worker += o.worker
	l.database += o.database
	l.log += o.log
	l.commits += o.commits
}

// usage is what a scenario costs in all.
type usage struct {
	events, log  float64
	peak         load    // of the hour with the most events
	peakWorker   float64 // CPU seconds of the worst hour, which need not be that one
	peakDatabase float64
	idleCores    float64 // of peakWorker and peakDatabase together, what no event needs
	disk         float64 // the largest
	memory       float64 // bytes of the sessions
	workerMemory float64 // bytes
	sessions     int
}

// run goes through the hours, tenant by tenant.
func (s scenario) run() (u usage) {
	hours := make([]load, s.hours)
	idle := make([]float64, s.hours)
	week := s.week()
	for i := range s.tenants {
		t := s.tenant(i)
		for h := range hours {
			l, polls := s.cost(t.hour(h, &week))
			hours[h].add(l)
			idle[h] += polls
		}
	}
	s.delete(hours)
	kept, keptHours := 0.0, s.keptDays*24
	for h, l := range hours {
		u.events += l.events
		u.log += l.log
		if l.events > u.peak.events {
			u.peak = l
		}
		u.peakWorker = math.Max(u.peakWorker, l.worker)
		if l.database > u.peakDatabase {
			u.peakDatabase, u.idleCores = l.database, idle[h]/3600
		}
		if kept += l.events; h >= keptHours {
			kept -= hours[h-keptHours].events
		}
		u.disk = math.Max(u.disk, kept*keptOnDisk)
	}
	u.disk += float64(s.tenants) * schemaSize
	u.sessions = s.tenants * s.polling.sessions
	u.memory = float64(u.sessions) * sessionMB * 1e6
	if s.processes {
		u.workerMemory = float64(s.tenants) * workerMB * 1e6
	}
	return u
}

// cost is of one tenant and one hour. An instance polls often while it has events: a claim then finds what
// was written since the one before, one event or many. idle is the CPU time of polls that find none, half
// of it the worker's.
func (s scenario) cost(now hour) (l load, idle float64) {
	batch := math.Max(1, now.events/3600*batchTime)
	claims := now.events / batch
	documents, others := now.events*s.documents, now.events*(1-s.documents)
	awake := 1 - math.Exp(-now.events/3600*s.awake)
	asleep := s.peek
	if s.processes {
		asleep = s.poll
	}
	idle = math.Max(0, 3600*awake/batchTime-claims)*s.poll + 3600*(1-awake)/s.idle*asleep

	l.events = now.events
	l.worker = (documents*s.workerDocument+others*s.workerOther+now.attempts*s.workerDocument)/1000 + idle/2
	l.database = (documents*s.databaseDocument+others*s.databaseOther+now.attempts*s.databaseDocument+now.events*s.insert)/1000 +
		claims*s.claim + idle/2
	l.log = now.events*logWritten + now.attempts*logAttempt
	l.commits = now.events + 2*claims // the application's own, the claim's, the record's
	return l, idle
}

// delete adds what it costs to delete each day's events once they have been kept, spread over a day. What
// was written before the first hour is as much as in the hours that follow.
func (s scenario) delete(hours []load) {
	week := 7 * 24
	day := make([]float64, len(hours)) // events of the day in which the hour is, by hour
	for h := range hours {
		from := h / 24 * 24
		for o := from; o < min(from+24, len(hours)); o++ {
			day[h] += hours[o].events / float64(min(24, len(hours)-from))
		}
	}
	for h := range hours {
		at := h - s.keptDays*24
		for at < 0 {
			at += week
		}
		gone := day[min(at, len(day)-1)]
		hours[h].database += gone * s.prune / 1000
		hours[h].log += gone * logDeleted
	}
}
