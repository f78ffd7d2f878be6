package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
	"github.com/recordengine/webhooks/temppg"
)

// demoLimit is far above what the tour takes; the longest wait in it is ten seconds.
const demoLimit = 2 * time.Minute

// runDemo is `webhooks demo`: the real worker, database and HTTP, and an
// application of a few tables. It fails unless all that it shows is true.
func runDemo(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "demo", "")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stop, demoLimit)
	defer cancel()
	d := &demo{
		screen:  screen{w: p.Stdout, colour: isTerminal(p.Stdout) && f.env("NO_COLOR") == ""},
		arrived: make(chan delivery, 100),
		commits: map[string]commit{},
	}
	d.title("RecordEngine webhooks: the sixty-second tour")
	server, err := demoServer(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer server.Stop() //nolint:errcheck // a temporary server; it ends with this process at the latest
	if d.db, err = store.Open(server.DSN("postgres")); err != nil {
		return err
	}
	defer d.db.Close()
	if err := d.play(ctx, p); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// demoServer is PostgreSQL from the machine's binaries, else from Docker.
func demoServer(ctx context.Context) (*temppg.Server, error) {
	server, err := temppg.Start(ctx, temppg.Options{})
	if errors.Is(err, temppg.ErrNoBinaries) {
		var dockerErr error
		if server, dockerErr = temppg.StartDocker(ctx, temppg.Options{}); dockerErr != nil {
			return nil, errors.Join(err, dockerErr)
		}
		return server, nil
	}
	return server, err
}

// demo is the state of the tour.
type demo struct {
	screen
	db       *sqlx.DB
	arrived  chan delivery     // what the receiver was sent
	commits  map[string]commit // by webhook-id
	received []delivery
}

func (d *demo) play(ctx context.Context, p Process) error {
	stopAll, err := d.setUp(ctx, p)
	if err != nil {
		return err
	}
	defer stopAll()

	d.section("1. The application's own transactions", "each changes the application's data and publishes the event: both, or neither")
	for _, tx := range demoTransactions {
		if err := d.transact(ctx, tx); err != nil {
			return err
		}
	}
	d.section("2. What arrives at the receiver", "the first attempt of the document is answered with 503 on purpose")
	if err := d.watch(ctx); err != nil {
		return err
	}
	d.section("3. What the database says", "select id, event, status, attempts, http_status, synced_at from webhook.outbox")
	if err := d.table(ctx); err != nil {
		return err
	}
	d.section("4. Is all of it true?", "")
	return d.verify(ctx)
}
