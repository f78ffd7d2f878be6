package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// load is what an application writes: events of some channels at steady rates.
type load map[string]float64 // channel to events a second

// eventOf is the event of each channel.
var eventOf = map[string]string{
	"documents": "document.exported", "contacts": "contact.created", "folders": "folder.created", "cases": "case.created",
	"notifications": "notification.created", "rules": "rule.executed", "audit_log": "audit.log",
}

// commits are the instants at which the application's commits returned, by event id.
type commits map[int64]time.Time

// apply writes a load for a while, each event in a transaction of its own, at
// random intervals: a regular one would beat against the worker's.
func (s *stage) apply(ctx context.Context, l load, during time.Duration) (map[string]commits, error) {
	until := time.Now().Add(during)
	written := map[string]commits{}
	var mu sync.Mutex
	var failed error
	var writers sync.WaitGroup
	for channel, perSecond := range l {
		writers.Go(func() {
			c, err := s.write(ctx, channel, perSecond, until)
			mu.Lock()
			defer mu.Unlock()
			written[channel] = c
			if err != nil && failed == nil {
				failed = fmt.Errorf("write %s: %w", channel, err)
			}
		})
	}
	writers.Wait()
	return written, failed
}

func (s *stage) write(ctx context.Context, channel string, perSecond float64, until time.Time) (commits, error) {
	insert, filler, err := s.inserter(ctx, channel)
	if err != nil {
		return nil, err
	}
	defer insert.Close() //nolint:errcheck // it was read to its end
	c := commits{}
	next := time.Now()
	for {
		next = next.Add(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)))
		if next.After(until) {
			return c, nil
		}
		time.Sleep(time.Until(next))
		if err := c.add(ctx, insert, filler); err != nil {
			return c, err
		}
	}
}

// add writes one event and notes when its commit has returned.
func (c commits) add(ctx context.Context, insert *sql.Stmt, filler string) error {
	var id int64
	if err := insert.QueryRowContext(ctx, len(c)+1, filler).Scan(&id); err != nil {
		return err
	}
	c[id] = time.Now()
	return nil
}

// inserter prepares the insert of one event of a channel.
func (s *stage) inserter(ctx context.Context, channel string) (*sql.Stmt, string, error) {
	event := eventOf[channel]
	expression, filler := dataOf(event, payloadBytes)
	insert, err := s.db.PrepareContext(ctx, fmt.Sprintf(`
		insert into webhook.outbox (event, data)
		select '%s', %s from (select $1::bigint as n, $2::text as filler) one returning id`, event, expression))
	return insert, fillerText(filler), err
}

func fillerText(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = "0123456789abcdef"[rand.IntN(16)]
	}
	return string(text)
}

// latencies are the times from commit to receipt, sorted, and how many events
// have not arrived.
func latencies(c commits, arrived []receipt) (sorted []time.Duration, missing int) {
	first := map[int64]time.Time{}
	for _, one := range arrived {
		if _, again := first[one.ID]; !again {
			first[one.ID] = time.Unix(0, one.At)
		}
	}
	for id := range maps.Keys(c) {
		at, ok := first[id]
		if !ok {
			missing++
			continue
		}
		sorted = append(sorted, max(at.Sub(c[id]), 0))
	}
	slices.Sort(sorted)
	return sorted, missing
}
