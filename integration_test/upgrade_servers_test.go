package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// twoVersions is a container that has the programs of PostgreSQL 13 and 17: what docs/upgrade-postgresql.md has the
// operator do is done in it, by the page's own blocks.
type twoVersions struct {
	t    testing.TB
	name string
	env  map[string]string
}

const twoVersionsImage = "webhooks-test-postgres:13-17"

// The application's role and the workers', as docs/operate.md has them.
const (
	appRole     = "recordengine_app"
	workersRole = "webhooks_worker"
)

func startTwoVersions(t *testing.T) *twoVersions {
	t.Helper()
	if os.Getenv("WEBHOOK_TEST_UPGRADES") == "" {
		t.Skip("docs/upgrade-postgresql.md was not run: it takes minutes; make upgrades runs it")
	}
	if err := exec.CommandContext(t.Context(), "docker", "image", "inspect", twoVersionsImage).Run(); err != nil {
		t.Fatalf("no Docker image %s; to build it: make images", twoVersionsImage)
	}
	c := &twoVersions{t: t, env: map[string]string{
		"OLD_BIN": "/usr/lib/postgresql/13/bin", "NEW_BIN": "/usr/lib/postgresql/17/bin", "OLD_DATA": "/tmp/old", "NEW_DATA": "/tmp/new",
		"DATABASE_URL": "postgres://postgres@127.0.0.1:5432/recordengine?sslmode=disable",
		"OLD_URL":      "postgres://postgres@127.0.0.1:5432/recordengine?sslmode=disable",
		"NEW_URL":      "postgres://postgres@127.0.0.1:5433/recordengine?sslmode=disable",
		"NEW_SERVER":   "postgres://postgres@127.0.0.1:5433/postgres?sslmode=disable",
		"OLD_FROM_NEW": "host=127.0.0.1 port=5432 user=postgres dbname=recordengine",
		"NEW_FROM_OLD": "host=127.0.0.1 port=5433 user=postgres dbname=recordengine",
	}}
	// It ends by itself, should the tests be killed.
	c.name = strings.TrimSpace(c.docker("run", "--detach", "--rm", "--label", "com.recordengine.webhooks=test", "--publish", "127.0.0.1::5432", "--publish", "127.0.0.1::5433",
		"--entrypoint", "sleep", twoVersionsImage, "1800"))
	t.Cleanup(func() { _ = exec.Command("docker", "kill", c.name).Run() })
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c.docker("cp", path, c.name+":/usr/local/bin/webhooks")
	c.initdb("OLD", 5432)
	return c
}

// initdb makes a cluster that anyone on this machine may enter, and starts it.
func (c *twoVersions) initdb(which string, port int) {
	c.t.Helper()
	c.sh(fmt.Sprintf(`
		"$%[1]s_BIN/initdb" --pgdata="$%[1]s_DATA" --username=postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
		echo 'host all all all trust' >>"$%[1]s_DATA/pg_hba.conf"
		cat >>"$%[1]s_DATA/postgresql.auto.conf" <<'END'
listen_addresses = '*'
port = %[2]d
unix_socket_directories = '/tmp'
fsync = off
wal_level = logical
END
		"$%[1]s_BIN/pg_ctl" --pgdata="$%[1]s_DATA" --wait --log="$%[1]s_DATA/log" start`, which, port))
}

// sh runs commands as the user of the database's machine, and returns what they print.
func (c *twoVersions) sh(script string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), max(patience, 3*time.Minute)) // a cluster is made, and synced
	defer cancel()
	args := []string{"exec", "--interactive", "--user", "postgres", "--workdir", "/tmp", "--env", "PGHOST=/tmp"}
	for name, value := range c.env {
		args = append(args, "--env", name+"="+value)
	}
	cmd := exec.CommandContext(ctx, "docker", append(args, c.name, "sh", "-e")...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v\n%s\n%s\n%s", err, script, out, c.logs())
	}
	return string(out)
}

func (c *twoVersions) logs() string {
	out, _ := exec.Command("docker", "exec", c.name, "sh", "-c", "tail -n 15 /tmp/old/log /tmp/new/log; cat /tmp/new/pg_upgrade_output.d/*/log/*.log 2>/dev/null | tail -n 30").CombinedOutput()
	return string(out)
}

func (c *twoVersions) docker(args ...string) string {
	c.t.Helper()
	out, err := exec.CommandContext(context.Background(), "docker", args...).Output()
	if err != nil {
		c.t.Fatalf("docker %s: %v", args[0], err)
	}
	return string(out)
}

// address is that of a port of the container, from here, for a role.
func (c *twoVersions) address(port int, role string) string {
	c.t.Helper()
	host, _, _ := strings.Cut(c.docker("port", c.name, fmt.Sprint(port)), "\n")
	return fmt.Sprintf("postgres://%s@%s/recordengine?sslmode=disable", role, host)
}

// application makes the database of an application on the old server, with so many events of long ago.
func (c *twoVersions) application(history int) *database {
	c.t.Helper()
	c.sh(`createdb recordengine; webhooks migrate --roles`)
	db := open(c.t, c.address(5432, "postgres"))
	db.exec(`create role ` + appRole + ` login; grant webhook_producer to ` + appRole + `; create role ` + workersRole + ` login; grant webhook_worker to ` + workersRole)
	db.exec(`insert into webhook.outbox (event, data, status, finished_at)
		select 'contact.created', json_build_object('contact_id', n, 'name', repeat('x', 300)), 'cancelled', now() - interval '2 days' from generate_series(1, $1) n`, history)
	return db
}

// fresh is a database that webhooks migrate makes on a server, dumped and restored: PostgreSQL shows the expressions of
// what was restored with fewer brackets.
func (c *twoVersions) fresh(port int) *database {
	c.t.Helper()
	c.sh(fmt.Sprintf(`
		export PGPORT=%d
		createdb migrated
		DATABASE_URL="postgres://postgres@127.0.0.1:$PGPORT/migrated?sslmode=disable" webhooks migrate --roles
		createdb fresh
		pg_dump --dbname=migrated >migrated.dump
		psql -q --set=ON_ERROR_STOP=1 --dbname=fresh --file=migrated.dump >/dev/null`, port))
	return open(c.t, strings.Replace(c.address(port, "postgres"), "/recordengine?", "/fresh?", 1))
}

// steps are the shell blocks of a section, by the first character of their headings.
func steps(t *testing.T, section string) map[string]string {
	t.Helper()
	_, page, found := strings.Cut(text(t, docs+"/upgrade-postgresql.md"), "\n## "+section+"\n")
	if !found {
		t.Fatalf("docs/upgrade-postgresql.md has no section %q", section)
	}
	page, _, _ = strings.Cut(page, "\n## ")
	all := map[string]string{}
	for _, step := range strings.Split(page, "\n### ")[1:] {
		for _, m := range fence.FindAllStringSubmatch(step, -1) {
			if m[1] == "sh" {
				all[step[:1]] += m[2] + "\n"
			}
		}
	}
	return all
}

// longestGap is the longest time between two commits of the application: it could not write then.
func longestGap(db *database) time.Duration {
	db.t.Helper()
	seconds := query[float64](db.t, db.address, `
		select extract(epoch from max(gap))::float8 from (select written_at - lag(written_at) over (order by written_at) as gap from public.ledger) gaps`)
	return time.Duration(seconds * float64(time.Second))
}

// longAgo is how many finished events the databases of these tests have beside the traffic.
const longAgo = 60_000

// TestPgUpgrade_WorkersWaitAndNothingIsLost: from PostgreSQL 13 to 17 beneath running workers, by the page's steps.
func TestPgUpgrade_WorkersWaitAndNothingIsLost(t *testing.T) {
	t.Parallel()
	do := steps(t, "pg_upgrade")
	c := startTwoVersions(t)
	db := c.application(longAgo)
	l := newLoad(t, db)
	l.moveTo(c.address(5432, appRole))
	env := quick(c.address(5432, workersRole))
	delete(env, "WEBHOOK_LEASE") // as it is for operators: far longer than the upgrade
	for range 2 {
		startWorker(t, env)
	}
	l.begin()
	held := l.hold(db)
	sent := l.webhookID(db, held)
	l.flows("on 13")

	c.sh(do["1"])
	l.flows("beside the check")
	c.sh(do["2"])
	l.flows("on 17")
	after := open(t, c.address(5432, "postgres"))
	if read := after.count(`select seq_tup_read from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`); read != 0 {
		t.Errorf("without statistics the workers' statements read the whole outbox: %d rows", read)
	}
	if n := after.count(`select count(*) from pg_class where oid = 'webhook.outbox'::regclass and reltuples >= 0`); n != 0 {
		t.Error("there are statistics already: the above proves nothing")
	}
	with(t, "migrate --check and check", c.sh(do["3"]), "the schema is up to date", "PostgreSQL 17", "ok    schema: up to date")
	if got := l.webhookID(after, held); got != sent {
		t.Errorf("the webhook-id was %s and is %s", sent, got)
	}
	if roles := after.count(`select count(*) from pg_roles where rolname like 'webhook\_%'`); roles != 4 {
		t.Errorf("%d roles of the program are there", roles)
	}
	sameCatalog(t, "after pg_upgrade", after.catalog(), c.fresh(5432).catalog())
	l.drain(after)
	l.checkHeld(after, held)
	l.checkPromises(after, true)
	t.Logf("the application could not write for %s", longestGap(after).Round(time.Millisecond))
}

// TestCutOver_EventsMoveAndComeBack: from PostgreSQL 13 to 17 by logical replication, and back, by the page's steps.
func TestCutOver_EventsMoveAndComeBack(t *testing.T) {
	t.Parallel()
	do := steps(t, "Logical replication")
	functions, _, _ := strings.Cut(do["1"], "old \"") // each step runs in a shell of its own
	step := func(c *twoVersions, n string) { c.sh(functions + do[n]) }
	c := startTwoVersions(t)
	c.initdb("NEW", 5433)
	db := c.application(longAgo)
	l := newLoad(t, db)
	l.moveTo(c.address(5432, appRole))
	onOld, onNew := quick(c.address(5432, workersRole)), quick(c.address(5433, workersRole))
	for range 2 {
		startWorker(t, onOld) // they are forgotten there
	}
	l.begin()
	held := l.hold(db)
	sent := l.webhookID(db, held)
	l.flows("before")

	for _, n := range []string{"1", "2", "3"} {
		step(c, n)
		l.flows("after step " + n)
	}
	if out, errs, status := runProgram(t, onNew, nil, "run", "--once"); status == 0 || !strings.Contains(out+errs, "not permitted to log in") {
		t.Errorf("a worker that is started on the new database too early: exit status %d: %s%s", status, out, errs)
	}
	for _, n := range []string{"4", "5", "6", "7"} {
		step(c, n)
	}
	l.moveTo(c.address(5433, appRole))
	newWorkers := []*worker{startWorker(t, onNew), startWorker(t, onNew)}
	l.flows("on the new server")
	step(c, "8")
	moved := open(t, c.address(5433, "postgres"))
	t.Logf("the application could not write for %s", longestGap(moved).Round(time.Millisecond))
	if got := l.webhookID(moved, held); got != sent {
		t.Errorf("the webhook-id was %s and is %s", sent, got)
	}
	if n := moved.count(`select count(*) from pg_sequences s where s.schemaname = 'webhook' and s.sequencename = 'outbox_id_seq' and s.last_value >= (select max(id) from webhook.outbox)`); n != 1 {
		t.Error("the sequence of ids is behind them")
	}

	sameCatalog(t, "moved", moved.catalog(), c.fresh(5433).catalog())

	// Back, with the page's words exchanged.
	for _, name := range []string{"URL", "FROM"} {
		one, other := map[string]string{"URL": "OLD_URL", "FROM": "OLD_FROM_NEW"}[name], map[string]string{"URL": "NEW_URL", "FROM": "NEW_FROM_OLD"}[name]
		c.env[one], c.env[other] = c.env[other], c.env[one]
	}
	for _, n := range []string{"4", "5", "7"} {
		c.sh(functions + strings.ReplaceAll(do[n], "move", "back"))
	}
	l.moveTo(c.address(5432, appRole))
	l.flows("on the old server again") // the forgotten workers deliver there
	l.drain(db)
	l.checkHeld(db, held)
	l.checkPromises(db, true)
	for _, w := range newWorkers {
		if w.said("database unavailable, retrying") == 0 {
			t.Error("a worker whose database was closed does not say so")
		}
	}
}

// What logical replication asks of a schema: each table has a primary key, else a publication makes its updates fail;
// and no trigger fires for rows that are replicated, whose effects are replicated as well, except those that judge a row
// and compute its columns, with the same result on both servers.
func TestCutOver_EveryTableCanBeReplicated(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	if tables := db.ask(`
		select string_agg(c.relname, ', ') from pg_class c
		 where c.relnamespace = 'webhook'::regnamespace and c.relkind = 'r'
		   and (c.relreplident <> 'd' or not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary))`); tables != "" {
		t.Errorf("without a primary key: %s", tables)
	}
	if triggers := db.ask(`
		select string_agg(t.tgname, ', ') from pg_trigger t join pg_class c on c.oid = t.tgrelid
		 where c.relnamespace = 'webhook'::regnamespace and not t.tgisinternal and t.tgenabled <> 'O'
		   and t.tgname not in ('what_is_written_is_an_event', 'each_row_keeps_the_rules', 'computed_columns_follow')`); triggers != "" {
		t.Errorf("these fire for replicated rows: %s", triggers)
	}
}
