package integration_test

import (
	"strings"
	"time"
)

// ending is what is remembered of a worker that has ended.
type ending struct {
	pid            int
	started, ended time.Time
	death          string // how it was killed; empty if it has ended otherwise
}

// freezing is a time during which a worker was stopped.
type freezing struct {
	pid      int
	from, to time.Time
}

func (c *chaos) setCurrent(slot int, l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current[slot] = l
}

// killsOnPost kills the worker that has sent this event, if it was to be killed
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

// notToBeSaid are words that mean a defect wherever a worker says them.
var notToBeSaid = []string{"panic", "goroutine ", "it does not change", "DATA RACE", "is no event", "without its texts"}

// remember keeps what matters of a worker that has ended.
func (c *chaos) remember(l *life) {
	said := l.log.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, l)
	c.ends = append(c.ends, ending{l.cmd.Process.Pid, l.started, time.Now(), l.death})
	for _, s := range c.secrets {
		if strings.Contains(strings.ToLower(said), strings.ToLower(s)) {
			c.t.Errorf("a worker's log shows the secret %s", s)
		}
	}
	for line := range strings.Lines(said) {
		for _, word := range notToBeSaid {
			if strings.Contains(line, word) {
				c.t.Errorf("a worker said: %s", line)
			}
		}
	}
}

// killAll ends the workers that a test which has failed has left.
func (c *chaos) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.alive {
		_ = l.cmd.Process.Kill()
		<-l.done
	}
}
