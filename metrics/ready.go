package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// reasons are why this worker is not ready, by topic.
type reasons struct {
	mu      sync.Mutex
	byTopic map[string]string
}

// NotReady notes why this worker is not ready; "" ends the reason of that topic. A reason holds no
// secret: it is readable by all clients of the listener.
func (m *Metrics) NotReady(topic, reason string) {
	m.reasons.mu.Lock()
	defer m.reasons.mu.Unlock()
	if m.reasons.byTopic == nil {
		m.reasons.byTopic = map[string]string{}
	}
	if reason == "" {
		delete(m.reasons.byTopic, topic)
	} else {
		m.reasons.byTopic[topic] = reason
	}
}

// unready is why this worker delivers nothing now, in words; "": it delivers.
func (m *Metrics) unready() string {
	all := m.reasons.all()
	if len(all) == 0 {
		switch polled := m.polled.Load(); {
		case polled == nil:
			all = append(all, "no poll of the database has succeeded yet")
		case time.Since(*polled) > m.opts.PollWithin:
			all = append(all, fmt.Sprintf("the last poll of the database succeeded %s ago", time.Since(*polled).Round(time.Second)))
		}
	}
	return strings.Join(all, "; ")
}

func (r *reasons) all() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, topic := range slices.Sorted(maps.Keys(r.byTopic)) {
		all = append(all, r.byTopic[topic])
	}
	return all
}
