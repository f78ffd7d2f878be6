package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/lib/pq" // the bench's own connections

	"github.com/recordengine/webhooks/temppg"
)

// settings are those of a small machine, the same for all peers. Nothing is
// taken from durability: fsync, full_page_writes and synchronous_commit are on.
var settings = []string{
	"shared_buffers = '512MB'",
	"effective_cache_size = '2GB'",
	"random_page_cost = 1.1",
	"max_wal_size = '4GB'",
	"checkpoint_timeout = '15min'",
}

// connections is what 200 instances need, and the bench beside them.
const connections = 500

// postgres is the server that a section runs on.
type postgres struct {
	server *temppg.Server
	pid    int // the postmaster
}

// startPostgres runs a durable server with the settings, and perhaps with more.
func startPostgres(ctx context.Context, more ...string) (*postgres, error) {
	server, err := temppg.Start(ctx, temppg.Options{Durable: true, Connections: connections})
	if err != nil {
		return nil, err
	}
	p := &postgres{server: server}
	if err := p.configure(ctx, append(settings, more...)); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *postgres) stop() { _ = p.server.Stop() }

// configure writes the settings, begins anew with them, and finds the postmaster.
func (p *postgres) configure(ctx context.Context, settings []string) error {
	db, err := p.open("postgres")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if strings.Contains(strings.Join(settings, " "), "auto_explain.") { // unknown to a session that has not loaded it
		if _, err := db.ExecContext(ctx, "load 'auto_explain'"); err != nil {
			return err
		}
	}
	for _, setting := range settings {
		if _, err := db.ExecContext(ctx, "alter system set "+setting); err != nil {
			return fmt.Errorf("%s: %w", setting, err)
		}
	}
	var data string
	if err := db.QueryRowContext(ctx, "show data_directory").Scan(&data); err != nil {
		return err
	}
	db.Close() // a shutdown does not wait for sessions, and an open one would break
	if err := p.server.Shutdown(); err != nil {
		return err
	}
	if err := p.server.Restart(ctx); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	p.pid, err = strconv.Atoi(strings.TrimSpace(first))
	return err
}

// create makes an empty database and opens it.
func (p *postgres) create(ctx context.Context, name string) (*sql.DB, error) {
	db, err := p.open("postgres")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "create database "+name); err != nil {
		return nil, err
	}
	return p.open(name)
}

func (p *postgres) open(name string) (*sql.DB, error) {
	return sql.Open("postgres", p.server.DSN(name))
}

// cpu is what the whole server has used so far, its ended processes included.
func (p *postgres) cpu() time.Duration {
	total := cpuOf(p.pid, true)
	for _, pid := range p.children() {
		total += cpuOf(pid, false)
	}
	return total
}

// memory is what the server has resident now, shared pages counted once.
func (p *postgres) memory() (bytes int64) {
	for _, pid := range append(p.children(), p.pid) {
		bytes += memoryOf(pid, "smaps_rollup", "Pss:")
	}
	return bytes
}

// children are the server's processes except the postmaster.
func (p *postgres) children() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	parent := strconv.Itoa(p.pid)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if fields := statOf(pid); len(fields) > 1 && fields[1] == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}
