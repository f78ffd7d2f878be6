// Package integration_test tests the program against a real PostgreSQL. Which one: see
// ladder_test.go. Without any, the tests fail; they are never skipped. All share one server, and
// each has a database of its own.
//
//	TEST_DATABASE_URL       use this server
//	WEBHOOK_TEST_RUNG       url, dockertest, binaries or download: use this way to a server or fail
//	WEBHOOK_TEST_POSTGRES   the major version that the server must have
//	WEBHOOK_TEST_BROWSER    required: fail where there is no Chromium (browser_test.go)
//	WEBHOOK_TEST_UPGRADES   set: upgrade PostgreSQL as docs/upgrade-postgresql.md says (minutes)
//	DURATION, SEED          of the faults of TestChaos_BreaksNoPromise (20s, 1); SEED=new draws one
package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
)

// shared is the server of this test run.
var shared struct {
	url      string
	admin    *sql.DB
	template string // a database that schema.sql was applied to
	version  int    // as in server_version_num: 150018
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// testsAtOnce is the default of -parallel. Most tests wait most of the time, for leases, retries
// and ten-second cycles: four for each core keep it busy.
func testsAtOnce() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
}

// run starts a server, runs the tests and returns the exit code.
func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	s, err := openServer(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "integration tests: %v\n", err)
		return 1
	}
	stopOnSignal(s)
	testsAtOnce()
	code := 1
	if err := prepare(ctx, s); err != nil {
		fmt.Fprintf(os.Stderr, "integration tests: PostgreSQL from %s: %v\n", s.where, err)
	} else {
		fmt.Printf("integration tests: PostgreSQL %d.%d from %s\n", shared.version/10000, shared.version%10000, s.where)
		code = m.Run()
	}
	stopBrowser()
	if err := errors.Join(cleanUp(), s.stop(), os.RemoveAll(binaryDir)); err != nil {
		fmt.Fprintf(os.Stderr, "integration tests: clean up: %v\n", err)
		return 1
	}
	return code
}

// openServer opens the first server of the ladder that the environment allows.
func openServer(ctx context.Context) (*server, error) {
	address, version := os.Getenv("TEST_DATABASE_URL"), os.Getenv("WEBHOOK_TEST_POSTGRES")
	rungs, err := chooseRungs(os.Getenv("WEBHOOK_TEST_RUNG"), address)
	if err != nil {
		return nil, err
	}
	return climb(ctx, os.Stderr, rungs, map[rung]opener{
		rungURL:        openURL(address),
		rungDockertest: openDockertest(version),
		rungBinaries:   openBinaries(version),
		rungDownload:   openDownload(version),
	})
}

// stopOnSignal stops the server when the tests are interrupted.
func stopOnSignal(s *server) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stopBrowser()
		_ = s.stop()
		os.Exit(1)
	}()
}

// prepare connects, checks the version and makes the template database.
func prepare(ctx context.Context, s *server) error {
	db, err := sql.Open("postgres", s.url)
	if err != nil {
		return err
	}
	shared.url, shared.admin = s.url, db
	if err := db.QueryRowContext(ctx, `select current_setting('server_version_num')::int`).Scan(&shared.version); err != nil {
		return err
	}
	if err := checkVersion(os.Getenv("WEBHOOK_TEST_POSTGRES"), shared.version); err != nil {
		return err
	}
	name := randomName("template")
	if err := createDatabase(ctx, name, "template0"); err != nil {
		return err
	}
	shared.template = name
	return applySchema(ctx, databaseURL(name))
}

// checkVersion: a test of one version must not pass on another.
func checkVersion(wanted string, versionNumber int) error {
	if got := strconv.Itoa(versionNumber / 10000); wanted != "" && wanted != got {
		return fmt.Errorf("the server is PostgreSQL %s, WEBHOOK_TEST_POSTGRES asks for %s", got, wanted)
	}
	if versionNumber < 130000 {
		return fmt.Errorf("the server is older than PostgreSQL 13 (server_version_num %d)", versionNumber)
	}
	return nil
}

// applySchema runs the repository's schema.sql, all of it in one message, as `webhooks migrate` may.
func applySchema(ctx context.Context, address string) error {
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		return err
	}
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, string(schema)); err != nil {
		return fmt.Errorf("apply schema.sql: %w", err)
	}
	return nil
}

// cleanUp drops what prepare made; it matters where the server outlives the tests.
func cleanUp() error {
	if shared.admin == nil {
		return nil
	}
	var err error
	if shared.template != "" {
		err = dropDatabase(shared.template)
	}
	return errors.Join(err, shared.admin.Close())
}

// newDatabase makes a database with schema.sql applied, for one test, and returns its URL.
func newDatabase(t testing.TB) string {
	t.Helper()
	return testDatabase(t, shared.template)
}

// emptyDatabase makes a database without the schema, for one test, and returns its URL.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	return testDatabase(t, "template0")
}

func testDatabase(t testing.TB, template string) string {
	t.Helper()
	name := randomName("test")
	if err := createDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dropDatabase(name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return databaseURL(name)
}

// createDatabase copies a template. The encoding is named so that a server set up for another one
// says so.
func createDatabase(ctx context.Context, name, template string) error {
	_, err := shared.admin.ExecContext(ctx, fmt.Sprintf(`create database %s template %s encoding 'UTF8'`,
		pq.QuoteIdentifier(name), pq.QuoteIdentifier(template)))
	var refused *pq.Error
	if errors.As(err, &refused) && refused.Code == "42501" {
		return fmt.Errorf("the role of TEST_DATABASE_URL may not create databases, and each test needs its own "+
			"(alter role ... createdb): %w", err)
	}
	if err != nil {
		return fmt.Errorf("create a database: %w", err)
	}
	return nil
}

// dropDatabase drops a database and ends the sessions that are still connected.
func dropDatabase(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := shared.admin.ExecContext(ctx, fmt.Sprintf(`drop database if exists %s with (force)`, pq.QuoteIdentifier(name)))
	return err
}

// databaseURL is the shared server's URL with another database.
func databaseURL(name string) string {
	u, err := url.Parse(shared.url)
	if err != nil {
		panic(err) // it was parsed before
	}
	u.Path = "/" + name
	return u.String()
}

// randomName is a database name that no other test run uses.
func randomName(kind string) string {
	return "webhooks_" + kind + "_" + strings.ToLower(rand.Text()[:12])
}

func TestServer_EveryTestHasItsOwnDatabase(t *testing.T) {
	one, other := newDatabase(t), newDatabase(t)
	const publish = `select webhook.publish('contact.created', '{"contact_id": 7}')`
	query[int64](t, one, publish)
	if n := query[int](t, one, `select count(*) from webhook.outbox`); n != 1 {
		t.Errorf("%d events in the database with one", n)
	}
	if n := query[int](t, other, `select count(*) from webhook.outbox`); n != 0 {
		t.Errorf("%d events of one test in the database of another", n)
	}
	if query[bool](t, emptyDatabase(t), `select to_regnamespace('webhook') is not null`) {
		t.Error("an empty database has the schema")
	}
}

func TestServer_IsSetForTests(t *testing.T) {
	address := newDatabase(t)
	if got := query[string](t, address, `show server_encoding`); got != "UTF8" {
		t.Errorf("the encoding is %s", got)
	}
	if got := query[string](t, address, `show synchronous_commit`); got != "on" {
		t.Errorf("synchronous_commit is %s", got)
	}
}

// query runs a statement that returns one value.
func query[T any](t testing.TB, address, statement string, arguments ...any) T {
	t.Helper()
	db, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value T
	if err := db.QueryRowContext(t.Context(), statement, arguments...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}
