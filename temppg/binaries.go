package temppg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// binaries is a cluster in a temporary directory, served by the machine's own postgres.
type binaries struct {
	bin         string // where initdb and postgres are
	dir         string // data, password file and log
	owner       *owner
	fsync       string
	connections int
}

// newBinaries makes an empty cluster with a password.
func newBinaries(ctx context.Context, bin string, options Options, password string) (*binaries, error) {
	who, err := serverOwner()
	if err != nil {
		return nil, err
	}
	dir, err := tempDir(parentDir(options.InMemory), who)
	if err != nil {
		return nil, err
	}
	b := &binaries{bin: bin, dir: dir, owner: who, fsync: "off", connections: cmp.Or(options.Connections, 200)}
	if options.Durable {
		b.fsync = "on"
	}
	if err := b.initdb(ctx, password); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

// initdb makes the cluster: UTF-8, the C locale, one superuser who needs the password.
func (b *binaries) initdb(ctx context.Context, password string) error {
	verifier, err := Verifier(password)
	if err != nil {
		return err
	}
	secret := filepath.Join(b.dir, "password")
	if err := b.owner.writeFile(secret, verifier); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "initdb"), "--pgdata="+b.data(), "--username=postgres",
		"--pwfile="+secret, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
	b.prepare(cmd)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w:\n%s", err, bytes.TrimSpace(said))
	}
	return os.Remove(secret)
}

// launch runs postgres as a child process. It has no Unix socket: their paths may be 107 bytes long, and temporary
// directories are longer on some systems.
func (b *binaries) launch(_ context.Context, port int) (*child, error) {
	log := filepath.Join(b.dir, "log")
	//nolint:noctx // the server outlives the call that starts it; Stop ends it
	cmd := exec.Command(filepath.Join(b.bin, "postgres"), "-D", b.data(),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "port="+strconv.Itoa(port),
		"-c", "unix_socket_directories=",
		"-c", "max_connections="+strconv.Itoa(b.connections),
		"-c", "fsync="+b.fsync,
		"-c", "synchronous_commit=on",
		"-c", "logging_collector=off")
	b.prepare(cmd)
	return startChild(cmd, log)
}

// copyOf makes a cluster that follows the server on this port: a copy of it, with the signal that makes it a standby.
func (b *binaries) copyOf(ctx context.Context, port int, password string) (*binaries, error) {
	program := b.besidePostgres("pg_basebackup")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStandby, err)
	}
	dir, err := tempDir(filepath.Dir(b.dir), b.owner)
	if err != nil {
		return nil, err
	}
	standby := &binaries{bin: b.bin, dir: dir, owner: b.owner, fsync: b.fsync, connections: b.connections}
	cmd := exec.CommandContext(ctx, program, "--pgdata="+standby.data(), "--host=127.0.0.1",
		"--port="+strconv.Itoa(port), "--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	standby.prepare(cmd)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+password)
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("pg_basebackup: %w:\n%s", err, bytes.TrimSpace(said)), standby.remove())
	}
	return standby, nil
}

// besidePostgres is where a program is that came with postgres: some systems have links to postgres and initdb alone
// in a directory of PATH.
func (b *binaries) besidePostgres(program string) string {
	if postgres, err := filepath.EvalSymlinks(filepath.Join(b.bin, "postgres")); err == nil {
		return filepath.Join(filepath.Dir(postgres), program)
	}
	return filepath.Join(b.bin, program)
}

func (b *binaries) stop(c *child)        { c.signal(syscall.SIGINT) }
func (b *binaries) crash(c *child) error { c.signal(syscall.SIGQUIT); return nil }
func (b *binaries) remove() error        { return os.RemoveAll(b.dir) }
func (b *binaries) data() string         { return filepath.Join(b.dir, "data") }

// prepare sets a command's user and an environment without the PG variables of this one.
func (b *binaries) prepare(cmd *exec.Cmd) {
	cmd.Dir = b.dir
	cmd.SysProcAttr = b.owner.processAttributes()
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
}
