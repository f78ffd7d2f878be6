package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/recordengine/webhooks/outbox"
)

// once delivers what is due, and cleans up.
func (w *worker) once(ctx, stop context.Context) error {
	w.presence.refresh(ctx)
	defer w.presence.end()
	if w.alerts != nil {
		defer w.alerts.Wait()
	}
	cycle := newCycle(func() { w.telemetry.read(ctx, w.Dispatcher) })
	cycle.Start()
	defer cycle.Stop()
	if err := w.Once(ctx, stop); err != nil {
		return err
	}
	w.tally(stop)
	w.beginAlerts(stop)
	w.cleanUp(stop, true)
	return nil
}

// onceCount counts what became of the events of one `run --once`, beside another observer.
type onceCount struct {
	outbox.Observer // nil: none

	mu           sync.Mutex
	sent, failed int
	undelivered  map[int64]bool // to be retried
}

func (c *onceCount) Polled() {
	if c.Observer != nil {
		c.Observer.Polled()
	}
}

func (c *onceCount) Expired(leases []outbox.ExpiredLeases) {
	if c.Observer != nil {
		c.Observer.Expired(leases)
	}
}

// Recorded implements outbox.Observer.
func (c *onceCount) Recorded(outcomes []outbox.Outcome) {
	if c.Observer != nil {
		c.Observer.Recorded(outcomes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outcomes {
		switch o.Verdict {
		case outbox.Sent:
			c.sent++
			delete(c.undelivered, o.EventID)
		case outbox.Failed:
			c.failed++
		case outbox.Retry:
			c.undelivered[o.EventID] = true
		case outbox.Released:
		}
	}
}

// report prints the summary; its error says what was not delivered.
func (c *onceCount) report(out io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := len(c.undelivered)
	if c.sent+c.failed+waiting == 0 {
		return writeLine(out, "Nothing was due.")
	}
	if err := writeLine(out, "%d sent, %d failed, %d to be retried.", c.sent, c.failed, waiting); err != nil {
		return err
	}
	var problems []string
	if c.failed > 0 {
		problems = append(problems, fmt.Sprintf("%d failed (webhooks list --status failed)", c.failed))
	}
	if waiting > 0 {
		problems = append(problems, fmt.Sprintf("%d could not be delivered yet (webhooks list --status pending)", waiting))
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("run --once: of the events that were due %s", strings.Join(problems, ", "))
}
