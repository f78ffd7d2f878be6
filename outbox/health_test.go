package outbox

import (
	"errors"
	"strings"
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
