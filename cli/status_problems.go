package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// readProblems is what needs attention, the worst first.
func readProblems(ctx context.Context, db *sqlx.DB, s statusDocument) ([]statusProblem, error) {
	var all, read []statusProblem
	if s.OfflineMode {
		all = append(all, statusProblem{Kind: "offline", Problem: "Offline Mode is on: nothing is delivered", Hint: "To deliver again: webhooks offline off."})
	}
	// Of the events in that view, one by one, there may be very many: the channels say how many failed.
	if err := db.SelectContext(ctx, &read, `
		select kind, channel, since, problem, hint from webhook.problems where kind in ('worker', 'channel') order by kind desc`); err != nil {
		return nil, err
	}
	for _, p := range read {
		p.Since = instant(p.Since)
		all = append(all, p)
	}
	for _, c := range s.Channels {
		all = append(all, c.problems()...)
	}
	return append([]statusProblem{}, all...), nil // a document has a list, also of none
}

// problems are those of its receiver and of its events.
func (c *statusChannel) problems() (all []statusProblem) {
	if c.Enabled && c.FailingSince != nil {
		what := text(c.LastError)
		if c.LastError == nil {
			what = "see its deliveries"
		}
		all = append(all, statusProblem{Kind: "failing", Since: c.FailingSince, Problem: "each attempt fails: " + what, Hint: text(c.Hint)})
	}
	if c.Enabled && c.PausedUntil != nil {
		all = append(all, statusProblem{Kind: "paused", Problem: fmt.Sprintf("its receiver asked for a pause until %s", c.PausedUntil.Format(time.RFC3339)),
			Hint: "What waits goes out then. If this happens often, set max_per_second of the channel to the rate that the receiver allows."})
	}
	if n := c.LastDay.Failed; n > 0 {
		all = append(all, statusProblem{Kind: "failed", Problem: fmt.Sprintf("%d %s failed in the last 24 hours, and nothing sends them again by itself", n, plural(n, "event", "events")),
			Hint: "webhooks list --channel " + c.Channel + " --status failed --since 24h shows those that were not sent again since."})
	}
	for i := range all {
		all[i].Channel = &c.Channel
	}
	return all
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
