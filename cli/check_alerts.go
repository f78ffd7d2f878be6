package cli

import (
	"context"
	"time"

	"github.com/recordengine/webhooks/alert"
	"github.com/recordengine/webhooks/store"
)

// alerts checks that they can be posted, by whom, and whether they are.
func (d *doctor) alerts(ctx context.Context, cfg *workerConfig, running []workerRow, reads bool) {
	if cfg.alerts.url != "" {
		if seen := cfg.sender(alert.Timeout).Look(ctx, cfg.alerts.url, ""); seen.Failure != "" {
			d.bad("alerts", "WEBHOOK_ALERT_URL: %s", seen.Problem)
		} else {
			d.ok("alerts", "the endpoint of WEBHOOK_ALERT_URL can be reached")
		}
	}
	for _, w := range running {
		switch {
		case cfg.alerts.url != "" && !w.Settings.Alerts:
			d.warn("alerts", "the worker %s posts none: its WEBHOOK_ALERT_URL is not set", w.Name)
			d.fix("start it with WEBHOOK_ALERT_URL, as the others")
		case cfg.alerts.url == "" && w.Settings.Alerts:
			d.unknown("alerts", "the worker %s posts them to a URL that is not set here, so it was not tried", w.Name)
			d.fix("set WEBHOOK_ALERT_URL as for the worker")
		}
	}
	if !reads {
		return
	}
	state, err := store.ReadAlertState(ctx, d.db)
	switch {
	case err != nil:
		d.bad("alerts", "%v", err)
	case state.Error != "":
		d.bad("alerts", "%d not sent since %s: %s", state.Waiting, state.Since.UTC().Format(time.RFC3339), state.Error)
		d.fix("set WEBHOOK_ALERT_URL to where they can be posted; they are tried for a day")
	case state.GivenUp > 0:
		d.bad("alerts", "%d given up within the last day", state.GivenUp)
		d.fix("select * from webhook.alerts where given_up_at is not null")
	}
}
