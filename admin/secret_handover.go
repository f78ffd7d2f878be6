package admin

import (
	"crypto/rand"
	"sync"
	"time"
)

// madeSecret is a secret that was just made, and is shown once.
type madeSecret struct {
	ID   int64
	Kind string
	Text string // what receivers verify with
}

// A new secret waits so long for the page that shows it, and so many at most.
const (
	madeFor  = 5 * time.Minute
	mostMade = 100
)

// handover keeps new secrets from the answer to a form until the page that shows them: an address must not
// hold a secret, and a page that is loaded again must not show it again.
type handover struct {
	mu  sync.Mutex
	all map[string]handedOver
	now func() time.Time
}

type handedOver struct {
	user   string // who has made it
	secret madeSecret
	ends   time.Time
}

func newHandover() *handover { return &handover{all: map[string]handedOver{}, now: time.Now} }

// put returns the ticket with which its user takes the secret.
func (h *handover) put(user string, secret madeSecret) (ticket string) {
	ticket = rand.Text()
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, each := range h.all {
		if len(h.all) >= mostMade || h.now().After(each.ends) {
			delete(h.all, t)
		}
	}
	h.all[ticket] = handedOver{user, secret, h.now().Add(madeFor)}
	return ticket
}

// take returns the secret of a ticket, once; nil: it was taken before, is another person's, or its time is over.
func (h *handover) take(user, ticket string) *madeSecret {
	h.mu.Lock()
	defer h.mu.Unlock()
	each, ok := h.all[ticket]
	if !ok || each.user != user {
		return nil
	}
	delete(h.all, ticket)
	if h.now().After(each.ends) {
		return nil
	}
	return &each.secret
}
