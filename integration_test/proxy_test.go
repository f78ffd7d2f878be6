package integration_test

import (
	"bytes"
	wire "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Texts by which the proxy recognises the worker's statements. A test whose statement
// never comes fails, so a changed text is noticed.
const (
	claimStatement  = "with lane as"
	lookUpStatement = "where o.claim_id = $1"
	recordStatement = "as r (id, claim_id, verdict"
	expireStatement = "with swept as"
	skipStatement   = "with off as"
	setupStatement  = "set_config('default_transaction_isolation'"
)

// proxy forwards a worker's connections to PostgreSQL. It reads the messages of the
// protocol, so that a test can cut a connection at a named point: before a statement
// reaches the server, or after the server has executed it and before the worker has the
// answer.
type proxy struct {
	t       testing.TB
	address string // the URL of the database through this proxy
	server  string // host:port of PostgreSQL
	local   string // host:port of this proxy

	mu        sync.Mutex
	listener  net.Listener
	links     map[*link]bool
	mode      proxyMode
	refused   int                    // connections refused in mode cutting
	before    func(*exchange) action // called before a statement is passed on
	after     func(*exchange) action // called when its answer is complete
	delivered func(*exchange)        // called when the worker's socket has the answer
}

type proxyMode string

const (
	healthy   proxyMode = "healthy"
	cutting   proxyMode = "cutting"   // each connection is cut when it is made
	closed    proxyMode = "closed"    // connections are refused
	blackHole proxyMode = "blackhole" // connections are made, bytes vanish, nothing is ever closed
)

// action is what a hook decides.
type action string

const (
	pass    action = "pass"
	cut     action = "cut"     // close the connection on both sides; the message is lost
	swallow action = "swallow" // from now on nothing passes on this connection, and it stays open

	// terminate sends the worker, instead of the answer, that an administrator has ended
	// its session, and ends it.
	terminate action = "terminate"
)

// sessionEnded is what the server sends to a session that it ends.
var sessionEnded = errorResponse("SFATAL", "VFATAL", "C57P01", "Mterminating connection due to administrator command")

func errorResponse(fields ...string) []byte {
	body := strings.Join(fields, "\x00") + "\x00\x00"
	return append(wire.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
}

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

// newProxy starts a proxy for the server of a database's URL.
func newProxy(t testing.TB, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, server: u.Host, local: l.Addr().String(), listener: l, links: map[*link]bool{}, mode: healthy}
	if u.Port() == "" {
		p.server = net.JoinHostPort(u.Hostname(), "5432")
	}
	query := u.Query()
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = p.local, query.Encode()
	p.address = u.String()
	go p.accept(l)
	t.Cleanup(func() {
		p.setMode(closed)
		p.cutAll()
	})
	return p
}

// onRequest installs a hook that is called before a request is passed on. It may block:
// only that connection waits.
func (p *proxy) onRequest(hook func(*exchange) action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = hook
}

// onAnswer installs a hook that is called when the server has answered in full, before
// the worker gets any of it.
func (p *proxy) onAnswer(hook func(*exchange) action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = hook
}

// onDelivered installs a hook that is called when the worker's socket has the whole
// answer. The worker may be processing it by then.
func (p *proxy) onDelivered(hook func(*exchange)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivered = hook
}

func (p *proxy) callDelivered(x *exchange) {
	p.mu.Lock()
	hook := p.delivered
	p.mu.Unlock()
	if hook != nil && x != nil {
		hook(x)
	}
}

func (p *proxy) ask(hook func() func(*exchange) action, x *exchange) action {
	p.mu.Lock()
	h := hook()
	p.mu.Unlock()
	if h == nil || x.own {
		return pass
	}
	return h(x)
}

// away makes the database unreachable: open connections are cut, new ones refused and
// counted.
func (p *proxy) away() { p.setMode(cutting); p.cutAll() }

// hang makes the network silent for the open connections. New ones follow the mode.
func (p *proxy) hang() {
	for _, l := range p.all() {
		l.mu.Lock()
		l.dead = true
		l.mu.Unlock()
	}
}

// heal lets new connections pass. Those that were cut or silent stay so.
func (p *proxy) heal() { p.setMode(healthy) }

// moveTo connects new connections to another server, like a DNS name that was changed.
// Open ones stay.
func (p *proxy) moveTo(database string) {
	u, err := url.Parse(database)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = u.Host
}

func (p *proxy) turnedAway() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func (p *proxy) setMode(m proxyMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	if m == closed {
		if p.listener != nil {
			_ = p.listener.Close()
		}
		p.listener = nil
		return
	}
	for deadline := time.Now().Add(patience); p.listener == nil; {
		l, err := net.Listen("tcp", p.local)
		if err == nil {
			p.listener = l
			go p.accept(l)
		} else if time.Now().After(deadline) {
			p.t.Errorf("listen again: %v", err)
			return
		}
	}
}

func (p *proxy) all() (links []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *proxy) cutAll() {
	for _, l := range p.all() {
		l.close()
	}
}

func (p *proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		if !p.connect(client) {
			_ = client.Close()
		}
	}
}

// connect makes the connection to the server for a new connection.
func (p *proxy) connect(client net.Conn) bool {
	p.mu.Lock()
	mode, to := p.mode, p.server
	if mode == cutting {
		p.refused++
	}
	p.mu.Unlock()
	if mode == cutting || mode == closed {
		return false
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return false
	}
	l := &link{p: p, client: client, server: server, statements: map[string]string{}, dead: mode == blackHole}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode != mode {
		_ = server.Close()
		return false
	}
	p.links[l] = true
	go l.pump(l.fromClient)
	go l.pump(l.fromServer)
	return true
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

// endsRequest: a simple query or a Sync; the server answers with ReadyForQuery.
func endsRequest(kind byte) bool { return kind == 'Q' || kind == 'S' }

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

// arguments reads the argument formats and values of a Bind message.
func arguments(b []byte) (args [][]byte) {
	b = b[2+2*int(wire.BigEndian.Uint16(b)):]
	n := int(wire.BigEndian.Uint16(b))
	b = b[2:]
	for range n {
		size := int(int32(wire.BigEndian.Uint32(b)))
		b = b[4:]
		if size < 0 { // null
			args = append(args, nil)
			continue
		}
		args, b = append(args, b[:size]), b[size:]
	}
	return args
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

// firstColumn reads the first value of a DataRow message as text; "" for none or null.
// lib/pq requests integers in binary. Eight printable bytes are text: as an id they would
// be beyond any that occurs.
func firstColumn(b []byte) string {
	if len(b) < 6 || wire.BigEndian.Uint16(b) == 0 {
		return ""
	}
	size := int(int32(wire.BigEndian.Uint32(b[2:])))
	if size <= 0 || len(b) < 6+size {
		return ""
	}
	value := b[6 : 6+size]
	if size == 8 && bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprint(int64(wire.BigEndian.Uint64(value)))
	}
	return string(value)
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

// readStartup reads the first message of a connection, which has no type.
func readStartup(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return readRest(r, head, wire.BigEndian.Uint32(head))
}

// readMessage reads a message with its type.
func readMessage(r io.Reader) (kind byte, message []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	message, err = readRest(r, head, wire.BigEndian.Uint32(head[1:])+1)
	return head[0], message, err
}

func readRest(r io.Reader, head []byte, size uint32) ([]byte, error) {
	if size < uint32(len(head)) || size > 1<<28 {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	message := append(make([]byte, 0, size), head...)[:size]
	_, err := io.ReadFull(r, message[len(head):])
	return message, err
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

// TestProxy_PassesEverythingOn: an application that connects through the proxy observes
// no difference.
func TestProxy_PassesEverythingOn(t *testing.T) {
	t.Parallel()
	direct := open(t, newDatabase(t))
	p := newProxy(t, direct.address)
	var seen []string
	p.onRequest(func(x *exchange) action {
		if x.executes {
			seen = append(seen, fmt.Sprintf("%.10s %s", x.text, x.args))
		}
		return pass
	})
	db := open(t, p.address)
	db.SetMaxOpenConns(1)
	if n := db.count(`select 1`); n != 1 {
		t.Errorf("a query without arguments returned %d", n)
	}
	if n := db.count(`select $1::int + $2::int`, 2, 3); n != 5 {
		t.Errorf("a query with arguments returned %d", n)
	}
	if _, err := db.Exec(`select 1/0`); err == nil || !strings.Contains(err.Error(), "division") {
		t.Errorf("an error arrived as %v", err)
	}
	if n := db.count(`select length(repeat('x', 3000000))`); n != 3000000 {
		t.Errorf("a second query on that connection returned %d", n)
	}
	want := "[select 1 [] select $1: [2 3] select 1/0 [] select len []]"
	if got := fmt.Sprint(seen); got != want {
		t.Errorf("the proxy saw %s, expected %s", got, want)
	}
	p.away()
	if _, err := db.Exec(`select 1`); err == nil || p.turnedAway() == 0 {
		t.Errorf("away: error %v, %d refused", err, p.turnedAway())
	}
	p.setMode(closed)
	if _, err := db.Exec(`select 1`); err == nil {
		t.Error("a closed proxy answers")
	}
	p.heal()
	if _, err := db.Exec(`select 1`); err != nil {
		t.Errorf("healed: %v", err)
	}
}
