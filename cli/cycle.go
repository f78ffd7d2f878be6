package cli

import (
	"time"

	"github.com/robfig/cron/v3"
)

// newCycle runs each of the parts at once and at every ten-second mark, unless it
// is still running.
func newCycle(parts ...func()) *cron.Cron {
	c := cron.New(cron.WithSeconds(), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	for _, each := range parts {
		id := c.Schedule(tenSecondMarks{}, cron.FuncJob(each))
		go c.Entry(id).WrappedJob.Run()
	}
	return c
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
