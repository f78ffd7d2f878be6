package integration_test

import (
	"fmt"
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
	claimStatement  = "with capacity as"
	lookUpStatement = "where o.claim_id = $1"
	recordStatement = "as r (id, claim_id, verdict"
	expireStatement = "with expired as"
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
// counted. Nothing passes on one connection while another is cut already.
func (p *proxy) away() {
	p.setMode(cutting)
	p.hang()
	p.cutAll()
}

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
