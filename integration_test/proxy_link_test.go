package integration_test

import (
	"bytes"
	"errors"
	"net"
	"sync"
)

// link is a connection of the worker and the one to the server behind it.
type link struct {
	p              *proxy
	client, server net.Conn
	statements     map[string]string // text by name; used by the client's pump only

	mu    sync.Mutex
	dead  bool        // bytes vanish
	hung  bool        // the test has ended the worker's half
	asked []*exchange // whose answers are still to come
}

func (l *link) close() {
	l.p.mu.Lock()
	delete(l.p.links, l)
	l.p.mu.Unlock()
	_ = l.client.Close()
	_ = l.server.Close()
}

// pump runs one direction until it ends, and then ends both, unless the connection is
// silent or the test has hung up, when the rest stays open.
func (l *link) pump(direction func() error) {
	err := direction()
	l.mu.Lock()
	stays := l.hung || errors.Is(err, errSilent)
	l.mu.Unlock()
	if !stays {
		l.close()
	}
}

var (
	errCut    = errors.New("cut")
	errSilent = errors.New("silent")
)

func (l *link) silent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// do carries out the decision of a hook.
func (l *link) do(a action) error {
	switch a {
	case cut, terminate:
		return errCut
	case swallow:
		l.mu.Lock()
		l.dead = true
		l.mu.Unlock()
	}
	if l.silent() {
		return errSilent
	}
	return nil
}

// fromClient passes on what the worker sends, one request at a time.
func (l *link) fromClient() error {
	first, err := readStartup(l.client)
	if err != nil {
		return err
	}
	if err := l.do(pass); err != nil {
		return err
	}
	if _, err := l.server.Write(first); err != nil {
		return err
	}
	var held []byte
	x := &exchange{link: l}
	for {
		kind, message, err := readMessage(l.client)
		if err != nil {
			return err
		}
		held = append(held, message...)
		l.note(x, kind, message[5:])
		if !endsRequest(kind) && kind != 'p' && kind != 'X' { // a password and a Terminate message are passed on at once
			continue
		}
		if endsRequest(kind) {
			if err := l.do(l.p.ask(func() func(*exchange) action { return l.p.before }, x)); err != nil {
				return err
			}
			l.mu.Lock()
			l.asked = append(l.asked, x)
			l.mu.Unlock()
		} else if err := l.do(pass); err != nil {
			return err
		}
		if _, err := l.server.Write(held); err != nil {
			return err
		}
		held, x = nil, &exchange{link: l}
	}
}

// note reads a message of the worker into its request.
func (l *link) note(x *exchange, kind byte, body []byte) {
	switch kind {
	case 'Q':
		x.text, x.executes = string(bytes.TrimRight(body, "\x00")), true
	case 'P': // Parse: name, text, …
		name, rest, _ := bytes.Cut(body, []byte{0})
		text, _, _ := bytes.Cut(rest, []byte{0})
		x.text = string(text)
		l.statements[string(name)] = x.text
	case 'B': // Bind: portal, name, formats, arguments, …
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, rest, _ := bytes.Cut(rest, []byte{0})
		x.text, x.args = l.statements[string(name)], arguments(rest)
	case 'E':
		x.executes = true
	}
}

// fromServer passes on what the server sends: an answer when it is complete, everything
// else (authentication, a session's end) at once.
func (l *link) fromServer() error {
	var held []byte
	for {
		kind, message, err := readMessage(l.server)
		if err != nil {
			if l.silent() {
				return errSilent
			}
			_, _ = l.client.Write(held)
			return err
		}
		x := l.answered(kind, message[5:])
		if x != nil && x.own {
			continue
		}
		held = append(held, message...)
		if x != nil && kind != 'Z' {
			continue
		}
		verdict := pass
		if x != nil {
			verdict = l.p.ask(func() func(*exchange) action { return l.p.after }, x)
		}
		if verdict == terminate {
			_, _ = l.client.Write(sessionEnded)
		}
		if err := l.do(verdict); err != nil {
			return err
		}
		_, _ = l.client.Write(held) // a client that has hung up does not end the server's half
		l.p.callDelivered(x)
		held = nil
	}
}

// answered adds a message of the server to the request that it answers; nil if there is
// none.
func (l *link) answered(kind byte, body []byte) *exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) == 0 {
		return nil
	}
	x := l.asked[0]
	switch kind {
	case 'D':
		x.rows++
		x.keys = append(x.keys, firstColumn(body))
	case 'E':
		x.failed = true
	case 'Z':
		l.asked = l.asked[1:]
	}
	return x
}
