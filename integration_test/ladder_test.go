package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/recordengine/webhooks/temppg"
)

// A rung is one way to get a PostgreSQL for the tests. They are tried from the top; the first that
// works is used.
type rung string

const (
	rungURL        rung = "url"        // the server of TEST_DATABASE_URL
	rungDockertest rung = "dockertest" // a container
	rungBinaries   rung = "binaries"   // PostgreSQL's own programs
	rungDownload   rung = "download"   // the same, downloaded once
)

var howToGetOne = `the integration tests need a PostgreSQL (13 or newer). Any one of these is enough:
  - PostgreSQL's server programs: ` + temppg.InstallCommand() + `
  - Docker, with access to a registry, or with an image built by "make images"
  - ` + temppg.MirrorVariable + `=https://mirror.example.com/maven2, where Maven Central is not reached
  - TEST_DATABASE_URL=postgres://user:password@host:5432/postgres?sslmode=disable, of a role that may create databases`

// chooseRungs returns the rungs to try: only TEST_DATABASE_URL if it is set, only the one that
// WEBHOOK_TEST_RUNG forces.
func chooseRungs(forced, databaseURL string) ([]rung, error) {
	switch {
	case forced == "" && databaseURL != "":
		return []rung{rungURL}, nil
	case forced == "":
		return []rung{rungDockertest, rungBinaries, rungDownload}, nil
	case forced == string(rungURL) && databaseURL == "":
		return nil, errors.New("WEBHOOK_TEST_RUNG=url, but TEST_DATABASE_URL is empty")
	case slices.Contains([]rung{rungURL, rungDockertest, rungBinaries, rungDownload}, rung(forced)):
		return []rung{rung(forced)}, nil
	}
	return nil, fmt.Errorf("WEBHOOK_TEST_RUNG is %q; it may be url, dockertest, binaries or download", forced)
}

// chooseImage prefers a local image to one that must be pulled. An empty version stands for any.
func chooseImage(version string, isLocal func(image string) bool) string {
	const built = "webhooks-test-postgres:" // by images/build.sh
	candidates := []string{built + "15", built + "17", built + "18", built + "13"}
	pull := temppg.DefaultImage
	if version != "" {
		pull = "postgres:" + version + "-alpine"
		candidates = []string{"postgres:" + version, pull, built + version}
	}
	for _, image := range candidates {
		if isLocal(image) {
			return image
		}
	}
	return pull
}

// A server is a PostgreSQL that the tests may use.
type server struct {
	where string // for the output of the tests
	url   string // of a database to connect to, and not to change
	stop  func() error
}

type opener func(context.Context) (*server, error)

// climb opens the first rung that works, and prints one line for each one above it that did not.
func climb(ctx context.Context, out io.Writer, rungs []rung, openers map[rung]opener) (*server, error) {
	var failures []error
	for _, r := range rungs {
		s, err := openers[r](ctx)
		if err == nil {
			s.where = fmt.Sprintf("%s (%s)", r, s.where)
			return s, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", r, err))
		if len(failures) < len(rungs) {
			fmt.Fprintf(out, "integration tests: no PostgreSQL from %s: %s\n", r, oneLine(err))
		}
	}
	return nil, fmt.Errorf("%w\n%s", errors.Join(failures...), howToGetOne)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// openURL uses the server of TEST_DATABASE_URL.
func openURL(address string) opener {
	return func(ctx context.Context) (*server, error) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return nil, errors.New("TEST_DATABASE_URL must be a URL: postgres://user:password@host:5432/database")
		}
		if err := ping(ctx, address); err != nil {
			return nil, fmt.Errorf("TEST_DATABASE_URL does not answer: %w", err)
		}
		return &server{where: u.Host, url: address, stop: func() error { return nil }}, nil
	}
}

// openBinaries runs the machine's own PostgreSQL, of any version if none is given.
func openBinaries(version string) opener {
	return func(ctx context.Context) (*server, error) {
		s, err := temppg.Start(ctx, temppg.Options{Version: version, InMemory: true})
		if err != nil {
			return nil, err
		}
		return &server{where: "a temporary server", url: s.DSN("postgres"), stop: s.Stop}, nil
	}
}

// openDownload runs a PostgreSQL that is downloaded unless the cache has it.
func openDownload(version string) opener {
	return func(ctx context.Context) (*server, error) {
		s, err := temppg.StartDownloaded(ctx, temppg.Options{Version: version, InMemory: true, Out: os.Stderr})
		if err != nil {
			return nil, err
		}
		return &server{where: "a temporary server", url: s.DSN("postgres"), stop: s.Stop}, nil
	}
}

// openDockertest runs PostgreSQL in a container.
func openDockertest(version string) opener {
	return func(ctx context.Context) (*server, error) {
		pool, err := dockertest.NewPool("")
		if err != nil {
			return nil, fmt.Errorf("no Docker: %w", err)
		}
		if err := pingDocker(ctx, pool); err != nil {
			return nil, fmt.Errorf("no Docker: %w", err)
		}
		image := chooseImage(version, func(name string) bool { return isLocal(pool, name) })
		if err := pull(ctx, pool, image); err != nil {
			return nil, fmt.Errorf("pull %s: %w (make images builds one without a registry)", image, err)
		}
		return runContainer(ctx, pool, image)
	}
}

func pingDocker(ctx context.Context, pool *dockertest.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return pool.Client.PingWithContext(ctx)
}

func isLocal(pool *dockertest.Pool, image string) bool {
	_, err := pool.Client.InspectImage(image)
	return err == nil
}

// pull pulls an image that is not local, in at most two minutes.
func pull(ctx context.Context, pool *dockertest.Pool, image string) error {
	if isLocal(pool, image) {
		return nil
	}
	fmt.Fprintf(os.Stderr, "integration tests: pulling %s\n", image)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	repository, tag, _ := strings.Cut(image, ":")
	return pool.Client.PullImage(docker.PullImageOptions{
		Repository: repository, Tag: tag, Context: ctx, InactivityTimeout: 20 * time.Second,
	}, docker.AuthConfiguration{})
}

// expiring runs the server for at most an hour, so that tests that were killed leave it running no
// longer. dockertest's Resource.Expire does not work here: it sends the stop signal at once, and
// PostgreSQL then refuses new connections.
const expiring = `docker-entrypoint.sh "$@" & server=$!; (sleep 3600; kill -INT $server) & wait $server`

// runContainer starts a container and waits until its PostgreSQL answers.
func runContainer(ctx context.Context, pool *dockertest.Pool, image string) (*server, error) {
	const password = "only-for-tests-5ecret"
	repository, tag, _ := strings.Cut(image, ":")
	container, err := pool.RunWithOptions(&dockertest.RunOptions{
		Repository: repository,
		Tag:        tag,
		Env:        []string{"POSTGRES_PASSWORD=" + password, "POSTGRES_INITDB_ARGS=--no-locale --encoding=UTF8"},
		Entrypoint: []string{"sh", "-c", expiring, "sh"},
		Cmd: []string{"postgres", "-c", "fsync=off", "-c", "synchronous_commit=on", "-c", "full_page_writes=off",
			"-c", "max_connections=200"},
		ExposedPorts: []string{"5432/tcp"},
		Labels:       map[string]string{"com.recordengine.webhooks": "test"},
		PortBindings: map[docker.Port][]docker.PortBinding{"5432/tcp": {{HostIP: "127.0.0.1"}}},
	}, func(host *docker.HostConfig) { host.AutoRemove = true })
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", image, err)
	}
	address := fmt.Sprintf("postgres://postgres:%s@%s/postgres?sslmode=disable", password, container.GetHostPort("5432/tcp"))
	pool.MaxWait = time.Minute
	if err := pool.Retry(func() error { return ping(ctx, address) }); err != nil {
		err = fmt.Errorf("%s does not answer: %w; its log:\n%s", image, err, containerLog(pool, container))
		return nil, errors.Join(err, pool.Purge(container))
	}
	return &server{where: image, url: address, stop: func() error { return pool.Purge(container) }}, nil
}

// containerLog is the end of what the container printed.
func containerLog(pool *dockertest.Pool, container *dockertest.Resource) string {
	var log bytes.Buffer
	err := pool.Client.Logs(docker.LogsOptions{
		Container: container.Container.ID, OutputStream: &log, ErrorStream: &log, Stdout: true, Stderr: true, Tail: "20",
	})
	if err != nil {
		return err.Error()
	}
	return log.String()
}

func ping(ctx context.Context, address string) error {
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

func TestLadder_RungsAreTriedFromTheTop(t *testing.T) {
	const address = "postgres://localhost/postgres"
	for name, c := range map[string]struct {
		forced, url string
		want        []rung
		fails       bool
	}{
		"nothing set":                     {want: []rung{rungDockertest, rungBinaries, rungDownload}},
		"a server was named":              {url: address, want: []rung{rungURL}},
		"a server was named and forced":   {forced: "url", url: address, want: []rung{rungURL}},
		"url forced without a server":     {forced: "url", fails: true},
		"dockertest forced":               {forced: "dockertest", want: []rung{rungDockertest}},
		"dockertest forced beside a URL":  {forced: "dockertest", url: address, want: []rung{rungDockertest}},
		"binaries forced":                 {forced: "binaries", want: []rung{rungBinaries}},
		"download forced":                 {forced: "download", want: []rung{rungDownload}},
		"a rung that does not exist":      {forced: "podman", fails: true},
		"a rung that does not exist, URL": {forced: "podman", url: address, fails: true},
	} {
		got, err := chooseRungs(c.forced, c.url)
		if fmt.Sprint(got) != fmt.Sprint(c.want) || (err != nil) != c.fails {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestLadder_LocalImagesArePreferred(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		local   []string
		want    string
	}{
		"nothing local":                {want: "postgres:17-alpine"},
		"nothing local, 13 wanted":     {version: "13", want: "postgres:13-alpine"},
		"two built":                    {local: []string{"webhooks-test-postgres:17", "webhooks-test-postgres:15"}, want: "webhooks-test-postgres:15"},
		"only 18 and 13 built":         {local: []string{"webhooks-test-postgres:13", "webhooks-test-postgres:18"}, want: "webhooks-test-postgres:18"},
		"only 13 built":                {local: []string{"webhooks-test-postgres:13"}, want: "webhooks-test-postgres:13"},
		"17 built, 13 wanted":          {version: "13", local: []string{"webhooks-test-postgres:17"}, want: "postgres:13-alpine"},
		"13 built and wanted":          {version: "13", local: []string{"webhooks-test-postgres:13"}, want: "webhooks-test-postgres:13"},
		"official and built, wanted":   {version: "15", local: []string{"webhooks-test-postgres:15", "postgres:15"}, want: "postgres:15"},
		"official, some other version": {local: []string{"postgres:14"}, want: "postgres:17-alpine"},
	} {
		got := chooseImage(c.version, func(image string) bool {
			return strings.Contains(" "+strings.Join(c.local, " ")+" ", " "+image+" ")
		})
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestLadder_FirstRungThatWorksIsUsed(t *testing.T) {
	works := func(context.Context) (*server, error) { return &server{where: "here"}, nil }
	breaks := func(context.Context) (*server, error) { return nil, errors.New("broken") }
	both := []rung{rungDockertest, rungBinaries}
	var printed bytes.Buffer

	s, err := climb(t.Context(), &printed, both, map[rung]opener{rungDockertest: breaks, rungBinaries: works})
	if err != nil || s.where != "binaries (here)" {
		t.Errorf("got %+v, %v", s, err)
	}
	if want := "integration tests: no PostgreSQL from dockertest: broken\n"; printed.String() != want {
		t.Errorf("it printed %q, want %q", &printed, want)
	}
	s, err = climb(t.Context(), &printed, both, map[rung]opener{rungDockertest: works, rungBinaries: breaks})
	if err != nil || s.where != "dockertest (here)" {
		t.Errorf("got %+v, %v", s, err)
	}
	_, err = climb(t.Context(), &printed, both, map[rung]opener{rungDockertest: breaks, rungBinaries: breaks})
	for _, part := range []string{"dockertest: broken", "binaries: broken", "make images", "TEST_DATABASE_URL", temppg.InstallCommand()} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not contain %q: %v", part, err)
		}
	}
}
