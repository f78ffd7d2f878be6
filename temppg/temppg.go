// Package temppg runs a temporary PostgreSQL: for `webhooks demo`, and for tests that stop or crash their server. It
// uses the machine's own binaries (Start), a container (StartDocker) or binaries that it downloads (StartDownloaded);
// StartAny takes the first that works. The server listens on 127.0.0.1 only, behind a random password, and leaves
// nothing behind: it goes with Stop, and at the latest with the process that started it. A download is kept.
package temppg

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	_ "github.com/lib/pq" // readiness is a connection that works
)

// Options say what kind of server is wanted; the zero value is right for tests.
type Options struct {
	// Durable keeps fsync on. Without it a crash of the server loses nothing, a crash of the machine may.
	Durable bool
	// Connections is max_connections of Start's server; 0: 200.
	Connections int
	// InMemory keeps the data of Start's server in memory where there is room for them (see inMemory). A database
	// there is made and dropped at a fraction of the cost.
	InMemory bool
	// Version is a major version such as "15"; empty means the newest one that is installed.
	Version string
	// Image is what StartDocker runs; empty means DefaultImage.
	Image string
	// Out gets a line before what takes long, and for each way to a server that StartAny tries in vain; nil: none.
	Out io.Writer
}

// say prints a line.
func (o Options) say(format string, values ...any) {
	if o.Out != nil {
		fmt.Fprintf(o.Out, format+"\n", values...)
	}
}

// Server is a running PostgreSQL. Its methods, except DSN, are not for concurrent use.
type Server struct {
	engine   engine
	child    *child
	port     int
	password string
}

// engine is what differs between the machine's binaries and a container.
type engine interface {
	// launch begins a server on the port, which need not be ready when it returns.
	launch(ctx context.Context, port int) (*child, error)
	// stop begins a fast shutdown: open transactions are rolled back.
	stop(*child)
	// crash ends the server at once, without a checkpoint, as `pg_ctl stop -m immediate` does.
	crash(*child) error
	// remove deletes whatever is left when the server is down.
	remove() error
}

const (
	readyWithin = 60 * time.Second // a first start in a container on a busy machine took 8 s
	stopWithin  = 10 * time.Second
	portTries   = 5
)

// Start runs a new, empty server from PostgreSQL's own binaries. The error is ErrNoBinaries where there are none.
func Start(ctx context.Context, options Options) (*Server, error) {
	bin, err := findBinaries(ctx, options.Version)
	if err != nil {
		return nil, err
	}
	return startFrom(ctx, bin, options)
}

// startFrom runs a server from the binaries of a directory.
func startFrom(ctx context.Context, bin string, options Options) (*Server, error) {
	password := randomHex(16)
	made, err := newBinaries(ctx, bin, options, password)
	if err != nil {
		return nil, err
	}
	return startOn(ctx, made, password)
}

// startOn tries free ports until the server has one: another program may bind it first.
func startOn(ctx context.Context, e engine, password string) (*Server, error) {
	s := &Server{engine: e, password: password}
	var err error
	for range portTries {
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		if err = s.begin(ctx); !portTaken(err) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, e.remove())
	}
	return s, nil
}

// begin launches the server on its port and waits until it accepts connections.
func (s *Server) begin(ctx context.Context) error {
	running, err := s.engine.launch(ctx, s.port)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.child = running
	if err := s.waitReady(ctx); err != nil {
		s.halt()
		return err
	}
	return nil
}

// waitReady connects until that succeeds. The password distinguishes this server from any other on the same port.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	db, err := sql.Open("postgres", s.DSN("postgres")+"&connect_timeout=5")
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer db.Close()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("PostgreSQL ended while it started; its log:\n%s", s.child.logTail())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer (%w); its log:\n%s", err, s.child.logTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// DSN is the URL of a database of this server, for lib/pq and psql. The database need not exist yet.
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Crash ends the server as a power cut would: no checkpoint, connections broken. Restart brings it back.
func (s *Server) Crash() error {
	if err := s.engine.crash(s.child); err != nil {
		return fmt.Errorf("crash PostgreSQL: %w", err)
	}
	return s.child.wait(stopWithin)
}

// Shutdown stops the server and keeps its data, as a planned restart does. Restart brings it back.
func (s *Server) Shutdown() error {
	s.engine.stop(s.child)
	return s.child.wait(stopWithin)
}

// Restart begins the server again after Crash or Shutdown, with the same data on the same port.
func (s *Server) Restart(ctx context.Context) error {
	return s.begin(ctx)
}

// ErrNoStandby means that Standby was called for a server in a container, or from binaries without pg_basebackup, as
// those that are downloaded.
var ErrNoStandby = errors.New("a standby is only made of a server from PostgreSQL's own binaries, pg_basebackup included")

// Standby runs another server that follows this one by streaming replication, with the same password. It takes over
// once `select pg_promote()` is run on it. Where it cannot be made the error is ErrNoStandby.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	primary, ok := s.engine.(*binaries)
	if !ok {
		return nil, ErrNoStandby
	}
	made, err := primary.copyOf(ctx, s.port, s.password)
	if err != nil {
		return nil, err
	}
	return startOn(ctx, made, s.password)
}

// Stop ends the server and deletes its data. A second call does nothing.
func (s *Server) Stop() error {
	s.halt()
	return s.engine.remove()
}

// halt makes sure that no server runs: a fast shutdown first, then a kill.
func (s *Server) halt() {
	s.engine.stop(s.child)
	if s.child.wait(stopWithin) != nil {
		s.child.kill()
	}
}

// freePort is a port that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// portTaken reports whether PostgreSQL or Docker found the port in use; neither has a code for it.
func portTaken(err error) bool {
	if err == nil {
		return false
	}
	said := err.Error()
	return strings.Contains(said, "Address already in use") || strings.Contains(said, "could not bind") ||
		strings.Contains(said, "address already in use") || strings.Contains(said, "port is already allocated")
}

// randomHex is n random bytes, written in hexadecimal digits.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // since Go 1.24 it never returns an error
	return hex.EncodeToString(b)
}
