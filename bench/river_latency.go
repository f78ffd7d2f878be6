package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// peerLatency is what a peer reached, round by round, each sorted.
type peerLatency struct {
	name   string
	flags  []string
	rounds [][]time.Duration
}

// riverLatencies inserts ten jobs a second while a River client works: with its
// defaults, which are notified of each insert by NOTIFY, and as it was tuned for a
// backlog, by polling.
func (s *stage) riverLatencies(ctx context.Context) ([]*peerLatency, error) {
	if _, err := s.river(ctx); err != nil { // its database and schema
		return nil, err
	}
	all := []*peerLatency{
		{name: "River " + riverVersion() + ", defaults"},
		{name: "River, tuned as for the backlog", flags: riverTuned},
	}
	for range s.rounds {
		for _, one := range all {
			sorted, err := s.riverLatency(ctx, one.flags)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", one.name, err)
			}
			one.rounds = append(one.rounds, sorted)
		}
	}
	return all, nil
}

func (s *stage) riverLatency(ctx context.Context, flags []string) (sorted []time.Duration, err error) {
	dsn := s.postgres.server.DSN("river")
	pool, err := openPool(ctx, dsn, 2)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		return nil, err
	}
	if err := s.note(ctx, "hook"); err != nil {
		return nil, err
	}
	p, _, err := startRole(filepath.Join(s.dir, "river.log"), []string{"DATABASE_URL=" + dsn},
		"river", append([]string{"--url", s.receiver.hooks + hook}, flags...)...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := p.stop(stopWorker); err == nil {
			err = stopped
		}
	}()
	time.Sleep(time.Second)
	details := strings.Repeat("d", payloadBytes-35)
	c := commits{}
	for until := time.Now().Add(s.steady); time.Now().Before(until); {
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(100*time.Millisecond)))
		job, err := client.Insert(ctx, webhookArgs{ID: int64(len(c)), Details: details}, nil)
		if err != nil {
			return nil, err
		}
		c[job.Job.ID] = time.Now()
	}
	time.Sleep(3 * time.Second)
	arrived, err := s.receiver.receipts(ctx)
	if err != nil {
		return nil, err
	}
	sorted, missing := latencies(c, arrived[hook])
	if missing > 0 {
		return nil, fmt.Errorf("%d of %d jobs have not arrived", missing, len(c))
	}
	return sorted, nil
}
