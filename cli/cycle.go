package cli

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// newCycle runs each of the parts at once and at every ten-second mark, unless it
// is still running, and nightly at half past three, both of the machine's time.
func newCycle(parts []func(), nightly func()) (*cron.Cron, error) {
	c := cron.New(cron.WithSeconds(), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	for _, each := range parts {
		id := c.Schedule(tenSecondMarks{}, cron.FuncJob(each))
		go c.Entry(id).WrappedJob.Run()
	}
	if _, err := c.AddFunc("0 30 3 * * *", nightly); err != nil {
		return nil, fmt.Errorf("the nightly clean-up: %w", err)
	}
	return c, nil
}

// tenSecondMarks is */10 * * * * * on the monotonic clock. cron's own schedule
// compares wall clock times, and would do nothing for an hour after that clock was
// set back by one.
type tenSecondMarks struct{}

// Next implements cron.Schedule. Add keeps the monotonic reading of now.
func (tenSecondMarks) Next(now time.Time) time.Time {
	const every = 10 * time.Second
	return now.Add(every - time.Duration(now.UnixNano()%int64(every)))
}
