package store

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// A server that accepts connections and never answers: without deadlines of their own these calls
// would last for its limit. For a network that dies under an open session see
// TestStore_CallsEndWithTheirContextOnADeadNetwork in integration_test.
func TestStore_CallsEndWithTheirContextWhileConnecting(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, call := range map[string]func(context.Context, *Store) error{
		"Claim":           func(ctx context.Context, s *Store) error { _, err := s.Claim(ctx, "c", nil); return err },
		"Claimed":         func(ctx context.Context, s *Store) error { _, _, err := s.LookUpClaim(ctx, "c"); return err },
		"Record":          func(ctx context.Context, s *Store) error { _, err := s.Record(ctx, []outbox.Outcome{{}}); return err },
		"ExpireLeases":    func(ctx context.Context, s *Store) error { _, err := s.ExpireLeases(ctx, nil); return err },
		"ChannelProblems": func(ctx context.Context, s *Store) error { _, err := s.ChannelProblems(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := Open("postgres://u:p@" + silent.Addr().String() + "/d?sslmode=disable")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := call(ctx, New(db, time.Minute)); err == nil {
				t.Error("no error")
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it ended %s after its start, its context after 50 ms", took)
			}
		})
	}
}

// TestSilent_IsOfAServerThatOwesAnAnswer: not while a caller waits for the session of another one.
func TestSilent_IsOfAServerThatOwesAnAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	db, err := OpenInstance(time.Minute, func() (string, error) { return "postgres://u:p@" + silent.Addr().String() + "/d?sslmode=disable", nil })
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if d := Silent(db); d != 0 {
		t.Errorf("%s, and nothing was asked", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- db.PingContext(ctx) }()
	for Silent(db) < 20*time.Millisecond {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-over; err == nil {
		t.Error("no error")
	}
	for Silent(db) > 0 { // the end of a connection that was given up follows its call
		time.Sleep(time.Millisecond)
	}
}
