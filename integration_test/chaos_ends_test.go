package integration_test

import (
	"strings"
	"time"
)

// ending is a worker that has ended.
type ending struct {
	pid            int
	started, ended time.Time
	death          string // how it was killed; empty if it has ended otherwise
}

// freezing is a period in which a worker was stopped.
type freezing struct {
	pid      int
	from, to time.Time
}

func (c *chaos) setCurrent(slot int, l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current[slot] = l
}

// killsOnPost kills the worker that has sent this event, if its fate is to be killed
// in the middle of a POST.
func (c *chaos) killsOnPost(id int64) bool {
	c.mu.Lock()
	lives := make([]*life, 0, len(c.current))
	for _, l := range c.current {
		lives = append(lives, l)
	}
	c.mu.Unlock()
	for _, l := range lives {
		if l.holds(id) && l.passes(posted, nil) == cut {
			return true
		}
	}
	return false
}

func (c *chaos) froze(l *life, from, to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = append(c.frozen, freezing{l.cmd.Process.Pid, from, to})
}

// defects are words that mean a defect wherever a worker logs them.
var defects = []string{"panic", "goroutine ", "it does not change", "DATA RACE", "is no event", "outcome rejected"}

// remember checks the log of a worker that has ended, and keeps when and how it ended.
func (c *chaos) remember(l *life) {
	logged := l.log.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, l)
	c.ends = append(c.ends, ending{l.cmd.Process.Pid, l.started, time.Now(), l.death})
	for _, s := range c.secrets {
		if strings.Contains(strings.ToLower(logged), strings.ToLower(s)) {
			c.t.Errorf("a worker's log shows the secret %s", s)
		}
	}
	for line := range strings.Lines(logged) {
		for _, word := range defects {
			if strings.Contains(line, word) {
				c.t.Errorf("a worker logged: %s", line)
			}
		}
	}
}

// killAll ends the workers that a failed test has left.
func (c *chaos) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.alive {
		_ = l.cmd.Process.Kill()
		<-l.done
	}
}
