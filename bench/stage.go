package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// stage is what a section plays on: a server of its own, a database with the
// schema, the built worker, a receiver.
type stage struct {
	options
	dir      string
	binary   string // the worker, as users get it
	postgres *postgres
	receiver *mirror
	name     string  // of the database
	db       *sql.DB // it, opened
	slots    int     // of a lane: max_in_flight as the schema presets it
	ends     []func()
}

func newStage(ctx context.Context, o options, settings ...string) (s *stage, err error) {
	s = &stage{options: o}
	defer func() {
		if err != nil {
			s.clear()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "webhooks-bench-*"); err != nil {
		return s, err
	}
	s.binary = filepath.Join(s.dir, "webhooks")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, ".")
	build.Dir = o.root
	if said, err := build.CombinedOutput(); err != nil {
		return s, fmt.Errorf("build the worker: %w\n%s", err, said)
	}
	if s.receiver, err = startReceiver(s.dir); err != nil {
		return s, err
	}
	if s.postgres, err = startPostgres(ctx, settings...); err != nil {
		return s, err
	}
	err = s.openDatabase(ctx, "webhooks")
	return s, err
}

// openDatabase makes a database and applies the schema as users do.
func (s *stage) openDatabase(ctx context.Context, name string) (err error) {
	s.name = name
	if s.db, err = s.postgres.create(ctx, name); err != nil {
		return err
	}
	migrate := exec.CommandContext(ctx, s.binary, "migrate")
	migrate.Env = append(os.Environ(), "DATABASE_URL="+s.dsn())
	if said, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, said)
	}
	if err := s.db.QueryRowContext(ctx, `select min(max_in_flight) from webhook.channels`).Scan(&s.slots); err != nil {
		return err
	}
	return s.exec(ctx, `update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
}

// beside is the same stage with one more database.
func (s *stage) beside(ctx context.Context, name string) (*stage, error) {
	other := *s
	other.ends, other.db = nil, nil
	if err := other.openDatabase(ctx, name); err != nil {
		return nil, err
	}
	s.atEnd(func() { other.db.Close() })
	return &other, nil
}

// atEnd has something closed with the stage, before its server.
func (s *stage) atEnd(end func()) { s.ends = append(s.ends, end) }

// clear ends everything that the stage has started.
func (s *stage) clear() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	if s.db != nil {
		s.db.Close()
	}
	if s.postgres != nil {
		s.postgres.stop()
	}
	if s.receiver != nil {
		_ = s.receiver.stop(5 * time.Second)
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *stage) dsn() string { return s.postgres.server.DSN(s.name) }

// exec runs statements one after the other.
func (s *stage) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w\n%s", err, statement)
		}
	}
	return nil
}

// count runs a query of one number.
func (s *stage) count(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err = s.db.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		err = fmt.Errorf("%w\n%s", err, query)
	}
	return n, err
}

// worker starts `webhooks run` with its default settings; the receiver is on
// this machine, so its address must be allowed.
func (s *stage) worker(env ...string) (*process, error) {
	env = append([]string{"DATABASE_URL=" + s.dsn(), "WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8"}, env...)
	return startProcess(filepath.Join(s.dir, "worker.log"), env, s.binary, "run")
}

// stopWorker takes part in every measurement that must lose nothing: exit
// status 0 says that all was recorded.
const stopWorker = 40 * time.Second

// channel points a channel at a path of the receiver and turns it on.
func (s *stage) channel(ctx context.Context, name, path string) error {
	_, err := s.db.ExecContext(ctx, `update webhook.channels set enabled = true, url = $2 where name = $1`, name, s.receiver.hooks+path)
	return err
}

// only turns on the named channels, each with a path of its own name, and turns
// off the others.
func (s *stage) only(ctx context.Context, names ...string) error {
	if err := s.exec(ctx, `update webhook.channels set enabled = false`); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.channel(ctx, name, "/"+name); err != nil {
			return err
		}
	}
	return nil
}

// withWorker does something while a worker runs, and requires that it ends well.
func (s *stage) withWorker(ctx context.Context, do func(*process) (map[string][]time.Duration, error)) (map[string][]time.Duration, error) {
	w, err := s.worker()
	if err != nil {
		return nil, err
	}
	time.Sleep(500 * time.Millisecond) // its start is not what is measured
	all, err := do(w)
	return all, errors.Join(err, s.stopAll(ctx, []*process{w}))
}

// closedPort is an address without a listener.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
