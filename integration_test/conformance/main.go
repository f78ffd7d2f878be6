// Command conformance tries on a server each feature of PostgreSQL that the outbox relies on, in a
// database of its own that it drops in the end, with several sessions where it is about concurrency. It
// says of each whether the server has it, and which promise falls without it.
//
//	TEST_DATABASE_URL   the server, with a role that may create databases
//	-schema             the file schema.sql
//	-only               only features whose name contains this text
//
// Exit status: 0 everything is there, 1 something is missing or differs, 2 nothing could be tried.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

func main() {
	schema := flag.String("schema", "schema.sql", "the schema, which is applied to the database")
	only := flag.String("only", "", "only features whose name contains this text")
	flag.Parse()
	os.Exit(run(context.Background(), os.Stdout, os.Getenv("TEST_DATABASE_URL"), *schema, *only))
}

// run tries the features and returns the exit status.
func run(ctx context.Context, out io.Writer, address, schema, only string) int {
	server, err := url.Parse(address)
	if err != nil || server.Scheme != "postgres" && server.Scheme != "postgresql" {
		fmt.Fprintln(out, "conformance: TEST_DATABASE_URL must be the URL of a server: postgres://user:password@host:5432/database")
		return 2
	}
	if _, err := os.Stat(schema); err != nil {
		fmt.Fprintln(out, "conformance: the schema is not where it should be; run it in the repository, or name the file with -schema")
		return 2
	}
	r := report{out: out}
	defer r.end()
	w := &world{url: address, schema: schema}
	for _, f := range requirements {
		if r.line(f, w.attempt(ctx, f)); r.failed > 0 {
			return r.stopped(f)
		}
	}
	drop, err := w.ownDatabase(ctx, server)
	if r.line(ownDatabase, err); err != nil {
		return r.stopped(ownDatabase)
	}
	for _, f := range features {
		if strings.Contains(f.name, only) {
			r.line(f, w.attempt(ctx, f))
		}
	}
	for _, note := range w.notes(ctx) {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	if err := drop(); err != nil {
		fmt.Fprintf(out, "conformance: the database is left behind: %v\n", err)
		return 2
	}
	return r.status()
}

// ownDatabase creates a database, on which the world's sessions work from then on, and returns what
// drops it.
func (w *world) ownDatabase(ctx context.Context, server *url.URL) (drop func() error, err error) {
	name := "webhooks_conformance_" + strings.ToLower(rand.Text()[:12])
	admin := w.url
	do := func(statement string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		db, err := open(admin)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(ctx, statement)
		return err
	}
	if err := do(fmt.Sprintf(`create database %s template template0 encoding 'UTF8'`, pq.QuoteIdentifier(name))); err != nil {
		return nil, err
	}
	own := *server
	own.Path = "/" + name
	w.url = own.String()
	return func() error { return do(fmt.Sprintf(`drop database %s with (force)`, pq.QuoteIdentifier(name))) }, nil
}

// notes are of the server's settings: they cost no feature, and a crash may cost what had committed.
func (w *world) notes(ctx context.Context) (notes []string) {
	t := &trial{ctx: ctx, url: w.url}
	defer t.end()
	s := t.session()
	for name, means := range map[string]string{
		"fsync":            "a crash of the machine may lose what had committed, or the whole database",
		"full_page_writes": "a crash of the machine may damage pages",
	} {
		if s.get(`select current_setting($1, true)`, name) == "off" {
			notes = append(notes, name+" is off: "+means)
		}
	}
	return notes
}

// report prints a line for each feature and counts.
type report struct {
	out           io.Writer
	tried, failed int
}

func (r *report) line(f feature, err error) {
	r.tried++
	if err == nil {
		fmt.Fprintf(r.out, "has      %s\n", f.name)
		return
	}
	r.failed++
	verdict := "DIFFERS"
	var refused *pq.Error
	if errors.As(err, &refused) && (refused.Code.Class() == "42" || refused.Code.Class() == "0A") { // not understood, not supported
		verdict = "MISSING"
	}
	fmt.Fprintf(r.out, "%-8s %s\n         what it said: %s\n         what falls:   %s\n", verdict, f.name, strings.Join(strings.Fields(err.Error()), " "), f.promise)
}

func (r *report) stopped(f feature) int {
	fmt.Fprintf(r.out, "not tried: the other features, which need this first: %s\n", f.name)
	return 1
}

func (r *report) status() int {
	if r.failed > 0 || r.tried == 0 {
		return 1
	}
	return 0
}

func (r *report) end() {
	fmt.Fprintf(r.out, "%d features tried, %d missing or different\n", r.tried, r.failed)
}
