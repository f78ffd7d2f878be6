package integration_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// instanceWorld is a list of databases, each with all channels on and a receiver path of its own.
type instanceWorld struct {
	t         testing.TB
	path      string // of the list
	names     []string
	addresses map[string]string
}

// newInstances makes databases inst0, inst1 … whose channels lead to the receiver. They are copies of one that is set up
// so, except for the identity that webhook-ids begin with.
func newInstances(t testing.TB, n int, receiver string) *instanceWorld {
	t.Helper()
	w := &instanceWorld{t: t, path: filepath.Join(t.TempDir(), "databases.txt"), addresses: map[string]string{}}
	model := ready(t, receiver)
	_, template, _ := strings.Cut(strings.Split(model.address, "?")[0], "//")
	_, template, _ = strings.Cut(template, "/")
	_ = model.Close() // a database that is in use cannot be copied
	for i := range n {
		address := testDatabase(t, template)
		query[string](t, address, `update webhook.settings set instance_id = gen_random_uuid() returning instance_id::text`)
		w.add(fmt.Sprintf("inst%d", i), address)
	}
	w.write()
	return w
}

func (w *instanceWorld) add(name, address string) {
	w.names = append(w.names, name)
	w.addresses[name] = address
}

func (w *instanceWorld) remove(name string) { delete(w.addresses, name) }

// write writes the list as it is now.
func (w *instanceWorld) write() {
	text := "# name, URL\n"
	for _, name := range w.names {
		if address, ok := w.addresses[name]; ok {
			text += name + " " + address + "\n"
		}
	}
	if err := writeFile(w.path, text); err != nil {
		w.t.Fatal(err)
	}
}

// env are the settings of a worker of all of them.
func (w *instanceWorld) env(more settings) settings {
	env := quick("")
	delete(env, "DATABASE_URL")
	env["WEBHOOK_DATABASES_FILE"] = w.path
	for name, value := range more {
		env[name] = value
	}
	return env
}

// publish writes an event into one of them.
func (w *instanceWorld) publish(name, event, data string) int64 {
	w.t.Helper()
	return query[int64](w.t, w.addresses[name], `select webhook.publish($1, $2)`, event, data)
}

// count is of one of them.
func (w *instanceWorld) count(name, statement string) int {
	w.t.Helper()
	return query[int](w.t, w.addresses[name], statement)
}

// sessions is how many sessions workers have in each database, by its name in the list; those of tests have another
// application name.
func (w *instanceWorld) sessions() map[string]int {
	w.t.Helper()
	rows, err := shared.admin.Query(`select datname, count(*) from pg_stat_activity where application_name = 'webhooks' group by 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	byDatabase := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			w.t.Fatal(err)
		}
		byDatabase[name] = n
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	all := map[string]int{}
	for name, address := range w.addresses {
		for database, n := range byDatabase {
			if strings.Contains(address, "/"+database) {
				all[name] = n
			}
		}
	}
	return all
}

// refusing is the URL of a port at which nothing listens, and hanging that of one which never answers.
func refusing(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return fmt.Sprintf("postgres://worker:hunter2@%s/gone?sslmode=disable", l.Addr())
}

func hanging(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fmt.Sprintf("postgres://worker:hunter2@%s/hangs?sslmode=disable", l.Addr())
}
