//go:build ha

package integration_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// haWorld is one scenario: a database of the cluster, applications that write to it, two workers, and a
// receiver. What is checked afterwards is what chaos checks.
type haWorld struct {
	*chaos
	cluster *haCluster
	book    *haBook
	workers []*worker
	writing sync.WaitGroup
	end     context.CancelFunc // of the applications

	struck time.Time // when the fault began
	quiet  time.Time // when the applications ended
	lossy  time.Time // since when commits may be lost; zero: none may
}

// haWay is how the workers reach the database.
type haWay struct {
	name string
	url  func(c *haCluster, database string) string
}

var haWays = []haWay{
	{"several hosts", func(c *haCluster, database string) string {
		return fmt.Sprintf("postgres://webhooks:%s@%s:5432,%s:5432,%s:5432/%s?sslmode=disable&target_session_attrs=read-write&connect_timeout=3",
			haPassword, c.nodes[0].front, c.nodes[1].front, c.nodes[2].front, database)
	}},
	{"HAProxy and PgBouncer", func(c *haCluster, database string) string {
		return fmt.Sprintf("postgres://webhooks:%s@%s:5000/%s?sslmode=disable", haPassword, c.haproxy, database)
	}},
}

func newHAWorld(t testing.TB, cluster *haCluster, database string, way haWay, own settings) *haWorld {
	t.Helper()
	owner := openHA(t, cluster.dsn("postgres", "postgres"))
	if owner.count(`select count(*) from pg_roles where rolname = 'webhooks'`) == 0 {
		owner.exec(`create role webhooks login password '` + haPassword + `'`)
	}
	owner.exec(`create database ` + database + ` owner webhooks template template0`)
	owner.Close()

	dsn := cluster.dsn("webhooks", database)
	if err := applySchema(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	c := &chaos{t: t, seed: 1, tally: newTally(), address: dsn, db: openHA(t, dsn), current: map[int]*life{}, alive: map[*life]bool{}}
	c.db.SetMaxOpenConns(1)
	c.db.exec(chaosTables)
	c.rcv = newRudeReceiver(c)
	c.rcv.calm.Store(true)
	c.db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, c.rcv.URL)
	c.db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)

	w := &haWorld{chaos: c, cluster: cluster, book: &haBook{ends: map[string]haKnown{}}}
	c.over, w.end = context.WithCancel(t.Context())
	t.Cleanup(w.end)
	for i := range haApplications {
		w.writing.Go(newHAApplication(c, i, dsn, w.book).run)
	}
	env := settings{"DATABASE_URL": way.url(cluster, database), "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "WEBHOOK_LOG_FORMAT": "json"}
	maps.Copy(env, own)
	for range 2 {
		w.workers = append(w.workers, startWorker(t, env))
	}
	return w
}

// flow waits until so many more events have been received than when it was called.
func (w *haWorld) flow(events int) {
	w.t.Helper()
	from := w.rcv.count()
	eventually(w.t, fmt.Sprintf("%d events more are received", events), func() bool { return w.rcv.count() >= from+events })
}

// strikes notes that the fault begins.
func (w *haWorld) strikes() { w.struck = time.Now() }

// promoted waits until another node leads than that one.
func (w *haWorld) promoted(instead haNode) {
	w.t.Helper()
	eventually(w.t, "another node leads", func() bool {
		leader, found := w.cluster.leads()
		return found && leader != instead
	})
}

// finish ends the applications, waits until every event is finished, and stops the workers.
func (w *haWorld) finish() {
	w.t.Helper()
	w.quiet = time.Now()
	w.end()
	w.writing.Wait()
	eventually(w.t, "every event is finished", func() bool {
		return w.ask(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
	for _, worker := range w.workers {
		_ = worker.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, worker := range w.workers {
		if status := worker.exit(w.t); status != 0 {
			w.t.Errorf("a worker that was stopped after the fault ended with status %d", status)
		}
	}
}

// said are the lines of the workers' logs since the fault that an operator would see, each message once for a worker.
func (w *haWorld) said() string {
	var b strings.Builder
	for i, worker := range w.workers {
		for line := range strings.SplitSeq(worker.log.String(), "\n") {
			if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) || strings.Contains(line, "available again") {
				fmt.Fprintf(&b, "worker %d: %s\n", i+1, line)
			}
		}
	}
	return b.String()
}
