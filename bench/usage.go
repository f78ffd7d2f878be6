package main

import "time"

// usage is what a measurement has cost.
type usage struct {
	worker, postgres, receiver time.Duration // CPU
	workerPeak, postgresEnd    int64         // bytes: the largest worker's peak; PostgreSQL's at the end
}

// meter takes the CPU time of all three between two instants.
type meter struct {
	s       *stage
	workers []*process
	began   usage
}

// meter starts before the workers do, whose own start counts too.
func (s *stage) meter() *meter {
	return &meter{s: s, began: usage{postgres: s.postgres.cpu(), receiver: s.receiver.cpu()}}
}

// read is taken while the workers still run.
func (m *meter) read() usage {
	u := usage{
		postgres:    m.s.postgres.cpu() - m.began.postgres,
		receiver:    m.s.receiver.cpu() - m.began.receiver,
		postgresEnd: m.s.postgres.memory(),
	}
	for _, w := range m.workers {
		u.worker += w.cpu()
		u.workerPeak = max(u.workerPeak, w.peak())
	}
	return u
}
