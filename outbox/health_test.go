package outbox

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func testHealth() (*health, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return &health{log: zap.New(core), now: time.Now, slow: time.Second}, logs
}

// One line at the start of an outage, one a minute while it lasts, and one when its error has changed.
func TestHealth_OutageIsLoggedEveryMinuteWithItsNewestError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, logs := testHealth()
		fail := func(text string, times int) {
			for range times {
				h.begin("claim").end(t.Context(), errors.New(text), false)
				time.Sleep(time.Second)
			}
		}
		fail("connection refused", 10)
		fail("password authentication failed", 110)
		h.begin("claim").end(t.Context(), nil, false)
		h.begin("claim").end(t.Context(), nil, true)
		var errs []string
		for _, e := range logs.FilterMessage("database unavailable, retrying").All() {
			errs = append(errs, e.ContextMap()["error"].(string))
			if e.ContextMap()["since"] != logs.All()[0].ContextMap()["since"] {
				t.Errorf("since %v", e.ContextMap()["since"])
			}
		}
		if got := strings.Join(errs, ", "); got != "connection refused, password authentication failed, password authentication failed" {
			t.Errorf("logged: %s", got)
		}
		if n := logs.FilterMessage("database available again").Len(); n != 1 {
			t.Errorf("%d lines say that it is available again", n)
		}
	})
}

// Commits succeed in a database without a schema: that alone does not make it available.
func TestHealth_WithoutASchemaUntilAStatementOnItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		missing := fmt.Errorf("claim: %w: pq: relation \"webhook.outbox\" does not exist", ErrNoSchema)
		var exists atomic.Bool
		answer := func() error {
			if exists.Load() {
				return nil
			}
			return missing
		}
		s.claim = func(int, string) ([]Event, error) { return nil, answer() }
		s.expired = func() ([]string, error) { return nil, answer() }
		d, logs := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		cycles(t, d, time.Minute)
		if n := logs.FilterMessage("database has no webhook schema, retrying").Len(); n < 1 || n > 2 {
			t.Errorf("%d lines say that the schema is missing", n)
		}
		if n := logs.FilterMessage("database unavailable, retrying").Len() + logs.FilterMessage("database available again").Len() + logs.FilterMessage("claim failed, retrying").Len(); n != 0 {
			t.Errorf("%d lines say something else", n)
		}
		if !d.SchemaMissing() {
			t.Error("the schema is not missing")
		}

		exists.Store(true)
		cycles(t, d, 20*time.Second)
		if n := logs.FilterMessage("database available again").Len(); n != 1 || d.SchemaMissing() {
			t.Errorf("%d lines say that it is available again, missing: %t", n, d.SchemaMissing())
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}
