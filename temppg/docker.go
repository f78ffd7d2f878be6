package temppg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultImage is what StartDocker runs unless Options.Image says otherwise.
const DefaultImage = "postgres:17-alpine"

// ErrNoDocker means that no Docker daemon answered the docker command.
var ErrNoDocker = errors.New("no Docker daemon answers the docker command")

// StartDocker runs a new, empty server in a container of the official image, or of one that is started like it. Docker
// pulls an image that is not there, within five minutes. The error is ErrNoDocker where there is no Docker.
func StartDocker(ctx context.Context, options Options) (*Server, error) {
	if _, err := docker(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDocker, err)
	}
	image := cmp.Or(options.Image, DefaultImage)
	if err := pull(ctx, image, options); err != nil {
		return nil, err
	}
	dir, err := tempDir(os.TempDir(), nil)
	if err != nil {
		return nil, err
	}
	e := &container{image: image, dir: dir, fsync: "off", password: randomHex(16)}
	if options.Durable {
		e.fsync = "on"
	}
	return startOn(ctx, e, e.password)
}

// pullWithin is how long an image may take.
const pullWithin = 5 * time.Minute

// pull gets an image that is not here.
func pull(ctx context.Context, image string, options Options) error {
	if _, err := docker(ctx, "image", "inspect", image); err == nil {
		return nil
	}
	options.say("pulling the Docker image %s, once", image)
	ctx, cancel := context.WithTimeout(ctx, pullWithin)
	defer cancel()
	_, err := docker(ctx, "pull", "--quiet", image)
	return err
}

// container is a server in a Docker container, which lives as long as the `docker start` that is attached to it.
type container struct {
	image, fsync, password string
	dir                    string // the log
	name                   string // empty until it is created
	port                   int
	stdin                  io.Closer
}

// label marks our containers.
const label = "com.recordengine.webhooks=temporary"

// lifeline runs the server until its own standard input ends, which happens when our process ends, however it does.
const lifeline = `docker-entrypoint.sh "$@" & cat >/dev/null; kill -INT $!; wait $!`

// launch creates the container, or starts again the one that it has on this port.
func (e *container) launch(ctx context.Context, port int) (*child, error) {
	if e.port != port {
		if err := e.create(ctx, port); err != nil {
			return nil, err
		}
	}
	//nolint:noctx // the server outlives the call that starts it; Stop ends it
	cmd := exec.Command("docker", "start", "--attach", "--interactive", e.name)
	var err error
	if e.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("docker start: %w", err)
	}
	cmd.SysProcAttr = (*owner)(nil).processAttributes()
	return startChild(cmd, filepath.Join(e.dir, "log"))
}

func (e *container) create(ctx context.Context, port int) error {
	if err := e.discard(); err != nil {
		return err
	}
	// Containers that stopped with a process that was killed stay behind; those of the last hour may be restarted.
	_, _ = docker(ctx, "container", "prune", "--force", "--filter", "label="+label, "--filter", "until=1h")
	name := "webhooks-" + randomHex(6)
	_, err := docker(ctx, "create", "--interactive", "--name", name, "--label", label,
		"--publish", "127.0.0.1:"+strconv.Itoa(port)+":5432",
		"--env", "POSTGRES_PASSWORD="+e.password, "--env", "POSTGRES_INITDB_ARGS=--no-locale --encoding=UTF8",
		"--entrypoint", "sh", e.image, "-c", lifeline, "sh",
		"postgres", "-c", "fsync="+e.fsync, "-c", "synchronous_commit=on", "-c", "max_connections=200")
	if err != nil {
		return err
	}
	e.name, e.port = name, port
	return nil
}

// stop ends the container's standard input: see lifeline.
func (e *container) stop(*child) { _ = e.stdin.Close() }

func (e *container) crash(*child) error {
	_, err := docker(context.Background(), "kill", e.name)
	return err
}

func (e *container) remove() error {
	return errors.Join(e.discard(), os.RemoveAll(e.dir))
}

// discard removes the container, if there is one, and its data.
func (e *container) discard() error {
	if e.name == "" {
		return nil
	}
	_, err := docker(context.Background(), "rm", "--force", "--volumes", e.name)
	e.name, e.port = "", 0
	return err
}

// docker runs the docker command; the error contains its output.
func docker(ctx context.Context, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", arguments...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w %s", arguments[0], err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
