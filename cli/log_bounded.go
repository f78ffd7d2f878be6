package cli

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// How many lines one message may have, whatever happens. Above the level debug it is so many in a minute,
// and what was left out is counted and logged at the end of that minute. At the level debug, where each
// event has a line, it is the first of a second and then every hundredth.
const (
	mostOfAMinute  = 20
	debugOfASecond = 100
	debugThenEvery = 100
)

// boundedCore writes what the bounds allow.
type boundedCore struct {
	zapcore.Core
	debug zapcore.Core

	mu       sync.Mutex
	messages map[string]*messageMinute
}

// messageMinute is the minute of one message.
type messageMinute struct {
	began   time.Time
	written int
	leftOut int
}

func newBoundedCore(core zapcore.Core) *boundedCore {
	return &boundedCore{Core: core, messages: map[string]*messageMinute{},
		debug: zapcore.NewSamplerWithOptions(core, time.Second, debugOfASecond, debugThenEvery)}
}

// With implements zapcore.Core: a logger of an instance has bounds of its own above the level debug.
func (c *boundedCore) With(fields []zapcore.Field) zapcore.Core {
	return &boundedCore{Core: c.Core.With(fields), messages: map[string]*messageMinute{}, debug: c.debug.With(fields)}
}

// Check adds the core to the entry if a line is to be written.
func (c *boundedCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case !c.Enabled(entry.Level):
		return checked
	case entry.Level == zapcore.DebugLevel:
		return c.debug.Check(entry, checked)
	case !c.allows(entry.Message, entry.Time):
		return checked
	}
	return c.Core.Check(entry, checked)
}

func (c *boundedCore) allows(message string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.messages[message]
	switch {
	case m == nil:
		m = &messageMinute{began: now}
		c.messages[message] = m
	case m.leftOut == 0 && now.Sub(m.began) >= time.Minute:
		*m = messageMinute{began: now}
	}
	if m.written < mostOfAMinute {
		m.written++
		return true
	}
	if m.leftOut++; m.leftOut == 1 {
		time.AfterFunc(m.began.Add(time.Minute).Sub(now), func() { c.count(message) })
	}
	return false
}

// count ends the minute of a message of which lines were left out.
func (c *boundedCore) count(message string) {
	c.mu.Lock()
	leftOut := c.messages[message].leftOut
	*c.messages[message] = messageMinute{}
	c.mu.Unlock()
	if leftOut > 0 {
		zap.New(c.Core).Warn("log lines left out", zap.String("message", message), zap.Int("lines", leftOut))
	}
}

// Sync writes the counts, too.
func (c *boundedCore) Sync() error {
	c.mu.Lock()
	var repeated []string
	for message, m := range c.messages {
		if m.leftOut > 0 {
			repeated = append(repeated, message)
		}
	}
	c.mu.Unlock()
	for _, message := range repeated {
		c.count(message)
	}
	return c.Core.Sync()
}
