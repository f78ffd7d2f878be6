package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
	"github.com/recordengine/webhooks/temppg"
)

// demoLimit is far above what the tour takes; the longest wait in it is ten seconds.
const demoLimit = 2 * time.Minute

// demoCommand is `webhooks demo`: the real worker, database and HTTP, and an
// application of a few tables. It fails unless all that it shows is true.
var demoCommand = command{
	name: "demo", group: groupDevelop,
	about: "take the sixty-second tour, on a temporary PostgreSQL",
	exits: "1 unless all that it shows is true",
	examples: []string{
		"the tour: webhooks demo",
		"and then the page, in a browser: webhooks demo --page",
	},
	flags: func(f *flags) action {
		stay := f.Bool("page", false, "go on after the tour, with the page, until Ctrl-C")
		return func(_, stop context.Context, _ []string) error { return runDemo(stop, f, *stay) }
	},
}

func runDemo(stop context.Context, f *flags, stay bool) error {
	keepWithoutReader() // `webhooks demo | head` stops its server, too
	p := f.p
	d := &demo{
		screen:  screen{w: p.Stdout, colour: f.colour()},
		arrived: make(chan delivery, 100),
		commits: map[string]commit{},
	}
	d.title("RecordEngine webhooks: the sixty-second tour")
	server, err := temppg.StartAny(stop, temppg.Options{Out: p.Stdout})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer server.Stop() //nolint:errcheck // a temporary server; it ends with this process at the latest
	d.dsn = server.DSN("postgres")
	if d.db, err = store.Open(d.dsn); err != nil {
		return err
	}
	defer d.db.Close()
	stopAll, err := d.setUp(stop, p, stay)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer stopAll()
	if err := d.play(stop); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !stay {
		d.line("to see the page: ./webhooks demo --page")
		return nil
	}
	d.section("5. The page", d.page+" in your browser; Ctrl-C ends the demo")
	<-stop.Done()
	return nil
}

// demo is the state of the tour.
type demo struct {
	screen
	dsn      string
	db       *sqlx.DB
	arrived  chan delivery     // what the receiver was sent
	commits  map[string]commit // by webhook-id
	page     string            // its address; "": there is none
	received []delivery
}

func (d *demo) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
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
