package integration_test

import (
	wire "encoding/binary"
	"strings"
	"sync"
)

// exchange is one request of the worker, up to and including the message after which it
// waits, and the server's answer.
type exchange struct {
	link     *link
	text     string   // of the statement that is parsed or executed
	executes bool     // false: only prepares
	args     [][]byte // as bound
	rows     int      // of the answer
	keys     []string // the first column of each
	failed   bool     // the answer is an error
	own      bool     // sent by the test: the answer is not passed on
}

// runs reports whether the exchange executes a statement that holds this text.
func (x *exchange) runs(statement string) bool {
	return x.executes && !x.own && strings.Contains(x.text, statement)
}

// claimID is the first argument of a claim and of its look-up.
func (x *exchange) claimID() string { return string(x.args[0]) }

// hangUp ends the worker's half of the connection; the server's half stays.
func (x *exchange) hangUp() {
	x.link.mu.Lock()
	x.link.hung = true
	x.link.mu.Unlock()
	_ = x.link.client.Close()
}

// run executes a statement in the worker's own session, before the request that is being
// held. It is called from an onRequest hook.
func (x *exchange) run(statement string) {
	l := x.link
	l.mu.Lock()
	l.asked = append(l.asked, &exchange{link: l, own: true})
	l.mu.Unlock()
	message := append([]byte{'Q'}, wire.BigEndian.AppendUint32(nil, uint32(len(statement)+5))...)
	_, _ = l.server.Write(append(append(message, statement...), 0))
}

// watch keeps the ids of the executed claims.
type watch struct {
	mu     sync.Mutex
	claims []string
}

func (w *watch) note(x *exchange) {
	if !x.runs(claimStatement) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims = append(w.claims, x.claimID())
}

func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.claims)
}

// repeated is a claim id under which more than one claim was executed, "" if there is none.
func (w *watch) repeated() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, id := range w.claims {
		if seen[id] {
			return id
		}
		seen[id] = true
	}
	return ""
}
