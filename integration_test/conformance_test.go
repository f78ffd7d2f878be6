package integration_test

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/recordengine/webhooks/temppg"
)

// conformanceBinary builds ./integration_test/conformance once a test run.
var conformanceBinary = sync.OnceValues(func() (string, error) {
	if _, err := binary(); err != nil { // it makes the directory
		return "", err
	}
	path := filepath.Join(binaryDir, "conformance")
	out, err := exec.Command("go", "build", "-o", path, "./conformance").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// conformance runs the command for a server.
func conformance(t *testing.T, address string, args ...string) (out string, status int) {
	t.Helper()
	path, err := conformanceBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-schema", "../schema.sql"}, args...)...)
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+address)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// conformanceLeftovers are the databases of this command that are still there.
const conformanceLeftovers = `select count(*) from pg_database where datname like 'webhooks_conformance_%'`

func TestConformance_PostgreSQLHasEverything(t *testing.T) {
	out, status := conformance(t, shared.url)
	if status != 0 || !strings.Contains(out, " features tried, 0 missing or different") || strings.Count(out, "\nhas ") < 30 {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if n := query[int](t, shared.url, conformanceLeftovers); n != 0 {
		t.Errorf("%d databases are left behind", n)
	}
}

// TestConformance_ServerThatCannotHoldTheOutboxIsRefused: each is named by what is missing first, nothing
// else is tried, and nothing is left behind.
func TestConformance_ServerThatCannotHoldTheOutboxIsRefused(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, address, feature string) {
		t.Helper()
		out, status := conformance(t, address)
		if status != 1 || !strings.Contains(out, "  "+feature) && !strings.Contains(out, " "+feature+"\n") || !strings.Contains(out, "not tried: the other features") ||
			!strings.Contains(out, " 1 missing or different") {
			t.Errorf("exit status %d:\n%s", status, out)
		}
	}
	t.Run("a pooler in transaction mode", func(t *testing.T) {
		t.Parallel()
		refused(t, pooler(t, newDatabase(t), "transaction"), "each connection has a session of its own")
	})
	t.Run("a session that is read-only", func(t *testing.T) {
		t.Parallel()
		refused(t, withParameter(t, shared.url, "default_transaction_read_only", "on"), "the server accepts writes")
	})
	t.Run("a hot standby", func(t *testing.T) {
		t.Parallel()
		standby, err := durableServer(t).Standby(t.Context())
		if errors.Is(err, temppg.ErrNoStandby) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = standby.Stop() })
		refused(t, standby.DSN("postgres"), "the server accepts writes")
	})
	t.Run("a role that may not create databases", func(t *testing.T) {
		t.Parallel()
		db := ready(t, "http://receiver.example")
		refused(t, loginRole(t, db).address, "a database of its own can be created")
	})
}

// TestConformance_EachFeatureIsNoticed: a proxy makes the server behave as one that lacks a feature, or
// accepts its words and does something else. The command notices each.
func TestConformance_EachFeatureIsNoticed(t *testing.T) {
	t.Parallel()
	for feature, flaw := range map[string][2]string{
		"PostgreSQL 13 or newer":               {`'server_version_num'`, `'block_size'`},
		"read committed":                       {`isolation level read committed`, `isolation level serializable`},
		"for update skip locked: ":             {`skip locked`, ``},
		"for update skip locked in a lateral":  {`for share of c skip locked`, ``},
		"for share: it admits":                 {`for share skip locked`, ``},
		"for share: the condition":             {`where enabled for share`, `where enabled`},
		"a partial unique index":               {`create unique index`, `create index`},
		"a trigger after update: ":             {`later.id > new.id`, `later.id < new.id`},
		"a statement writes several tables":    {`o.status = 'sending'`, `o.status is not null`},
		"identity columns":                     {`as identity primary key, by text`, `as identity(cache 5), by text`},
		"sequences":                            {`pg_sequence_last_value($1::regclass)`, `null::bigint + length($1)`},
		"the clock of a statement":             {`now() < clock_timestamp()`, `now() > clock_timestamp()`},
		"the settings of a worker's session":   {`'standard_conforming_strings'`, `'standard_conforming_things'`},
		"statement_timeout and lock_timeout":   {`pg_sleep(60)`, `pg_sleep(0)`},
		"advisory locks":                       {`pg_try_advisory_xact_lock(815)`, `true`},
		"a session can be found":               {`locktype = 'advisory'`, `locktype = 'tuple'`},
		"a message in the log":                 {`pg_logical_emit_message`, `pg_logical_no_message`},
		"json keeps every byte":                {`data (data json)`, `data(data jsonb)`},
		"generated columns":                    {`update events_of set status = 'sent'`, `update events_of set data = data`},
		"a CHECK that calls a function":        {`check (possible(status))`, `check (true)`},
		"a trigger before insert":              {`before insert on accepted`, `after insert on accepted`},
		"a trigger after update, on a":         {`(old.finished_at is not null`, `(new.finished_at is not null`},
		"enable always":                        {`enable always trigger`, `enable trigger`},
		"the search_path that a function pins": {`set search_path = pg_catalog, pg_temp`, ``},
		"regular expressions":                  {`'(?<!a)1', '2', 'g'`, `'1', '2', 'g'`},
		"rows are reached by ctid":             {`ctid`, `xmin`},
		"a partial index with an expression":   {`order by due_at, id limit 3`, `order by id, due_at limit 3`},
		"schema.sql":                           {`create schema webhook;`, `create schema webhuuk;`},
	} {
		t.Run(feature, func(t *testing.T) {
			t.Parallel()
			out, status := conformance(t, flawed(t, shared.url, flaw[0], flaw[1]), "-only", feature)
			if status != 1 || !strings.Contains(out, "DIFFERS  "+feature) && !strings.Contains(out, "MISSING  "+feature) || !strings.Contains(out, " 1 missing or different") {
				t.Errorf("exit status %d:\n%s", status, out)
			}
		})
	}
}

// flawed is a server behind a proxy that replaces a text in what it is sent. The new text is filled with
// spaces, so that no message changes its length.
func flawed(t *testing.T, address, text, instead string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	from, to := []byte(text), []byte(instead+strings.Repeat(" ", len(text)-len(instead)))
	server := u.Host
	u.Host = talker(t, func(client net.Conn) {
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		go func() {
			_, _ = copyAll(client, upstream, nil, nil)
			_ = client.Close()
		}()
		_, _ = copyAll(upstream, client, from, to)
	})
	return withParameter(t, u.String(), "sslmode", "disable")
}

// copyAll copies until the end, and replaces what stands in one read as a whole.
func copyAll(to, from net.Conn, old, instead []byte) (n int, err error) {
	for buffer := make([]byte, 1<<20); err == nil; {
		if n, err = from.Read(buffer); n > 0 {
			message := buffer[:n]
			if old != nil {
				message = bytes.ReplaceAll(message, old, instead)
			}
			_, err = to.Write(message)
		}
	}
	return n, err
}
