package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
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
	defer server.Stop() //nolint:errcheck // a temporary server; it goes with this process at the latest
	db, err := store.Open(server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	d.db = db
	return d.play(ctx, p.Schema)
}

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
	arrived  chan delivery     // what the receiver has got
	commits  map[string]commit // by webhook-id
	received []delivery
	instance string
}

func (d *demo) play(ctx context.Context, schema string) error {
	stopAll, err := d.setUp(ctx, schema)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer stopAll()

	d.section("1. The application's own transactions", "each changes the application's data and publishes the event: both, or neither")
	for _, tx := range demoTransactions {
		if err := d.transact(ctx, tx); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	d.section("2. What arrives at the receiver", "the first attempt of the document is answered with 503 on purpose")
	if err := d.watch(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.section("3. What the database says", "select id, event, status, attempts, http_status, synced_at from webhook.outbox")
	if err := d.table(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.section("4. Is all of it true?", "")
	return d.verify(ctx)
}

// setUp makes the schema, the application's tables, the receiver and the worker.
func (d *demo) setUp(ctx context.Context, schema string) (stopAll func(), err error) {
	if _, err := store.Migrate(ctx, d.db, schema); err != nil {
		return nil, err
	}
	if _, err := d.db.ExecContext(ctx, demoTables); err != nil {
		return nil, fmt.Errorf("make the application's tables: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	running, stopAll := context.WithCancel(ctx)
	go serve(running, l, d.receivers()) //nolint:errcheck // a receiver that ends early fails the tour: nothing arrives

	base := "http://" + l.Addr().String()
	if err := d.configure(ctx, base); err != nil {
		stopAll()
		return nil, err
	}
	cfg, err := demoConfig()
	if err != nil {
		stopAll()
		return nil, err
	}
	log := zap.NewNop()                                                       // the tour shows what arrives instead
	go work(running, running, newWorker(d.db, log, cfg), log, *cfg.retention) //nolint:errcheck // it ends with the tour

	var version string
	if err := d.db.GetContext(ctx, &version, `select current_setting('server_version')`); err != nil {
		stopAll()
		return nil, err
	}
	d.fact("PostgreSQL", version+", a temporary server of this demo")
	d.fact("receiver", base)
	d.fact("worker", fmt.Sprintf("looks every %s", *cfg.pollInterval))
	return stopAll, nil
}

func demoConfig() (*workerConfig, error) {
	f := newFlags(Process{Stderr: io.Discard, Stdout: io.Discard}, "demo", "")
	cfg := f.worker()
	return cfg, cfg.networks.set("127.0.0.0/8")
}

// receivers is an endpoint for each channel. That of documents refuses once.
func (d *demo) receivers() http.Handler {
	mux := http.NewServeMux()
	for _, c := range outbox.Channels() {
		r := &receiver{answers: []int{200}, got: func(got delivery) { d.arrived <- got }}
		if c.Event == outbox.EventDocumentExported {
			r.answers = []int{503, 200}
		}
		mux.Handle("/"+c.Name, r)
	}
	return mux
}

func (d *demo) configure(ctx context.Context, base string) error {
	if _, err := d.db.ExecContext(ctx, `update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`); err != nil {
		return err
	}
	if _, err := d.db.ExecContext(ctx, `update webhook.channels set url = $1 || '/' || name, enabled = true`, base); err != nil {
		return err
	}
	return d.db.GetContext(ctx, &d.instance, `select instance_id from webhook.settings`)
}

// commit is a transaction whose event must arrive.
type commit struct {
	id   int64
	what string
	at   time.Time
}

// transact runs one of the application's transactions and shows it.
func (d *demo) transact(ctx context.Context, t demoTransaction) error {
	tx, err := d.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, t.change); err != nil {
		return fmt.Errorf("%s: %w", t.what, err)
	}
	var id int64
	if err := tx.GetContext(ctx, &id, t.publish); err != nil {
		return fmt.Errorf("%s: %w", t.what, err)
	}
	if t.rollBack {
		d.line("%-44s %s", t.what, d.red("rolled back"))
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.commits[fmt.Sprintf("%s-%d", d.instance, id)] = commit{id: id, what: t.what, at: time.Now()}
	d.line("%-44s %s → event %d", t.what, d.green("committed"), id)
	return nil
}

// watch shows deliveries until each committed event was answered with 200.
func (d *demo) watch(ctx context.Context) error {
	waiting := len(d.commits)
	for waiting > 0 {
		select {
		case got := <-d.arrived:
			d.received = append(d.received, got)
			d.show(got)
			if got.status == 200 {
				waiting--
			}
		case <-ctx.Done():
			return fmt.Errorf("%d events did not arrive: %w", waiting, ctx.Err())
		}
	}
	return nil
}

func (d *demo) show(got delivery) {
	from := d.commits[got.webhookID]
	answer := d.green(fmt.Sprint(got.status))
	if got.status != 200 {
		answer = d.red(fmt.Sprint(got.status))
	}
	d.line("%s  %-20s  %s  event %d: %s", got.at.Format("15:04:05.000"), got.event, answer, from.id,
		d.dim(fmt.Sprintf("%s (%s after its commit)", from.what, got.at.Sub(from.at).Round(time.Millisecond))))
	if got.status != 200 {
		d.line("%s", d.dim("refused: the document stays pending until the next ten-second mark …"))
	}
}

type demoRow struct {
	ID         int64
	Event      string
	Status     string
	Attempts   int
	HTTPStatus *int       `db:"http_status"`
	SyncedAt   *time.Time `db:"synced_at"`
}

func (d *demo) rows(ctx context.Context) (rows []demoRow, err error) {
	err = d.db.SelectContext(ctx, &rows, `select id, event, status, attempts, http_status, synced_at from webhook.outbox order by id`)
	return rows, err
}

// table waits until no row is under way any more, then shows all of them.
func (d *demo) table(ctx context.Context) error {
	var rows []demoRow
	for open := true; open; {
		var err error
		if rows, err = d.rows(ctx); err != nil {
			return err
		}
		open = false
		for _, r := range rows {
			open = open || r.Status == "pending" || r.Status == "sending"
		}
	}
	d.line("%s", d.dim(fmt.Sprintf("%2s  %-20s  %-7s  %8s  %11s  %s", "id", "event", "status", "attempts", "http_status", "synced_at")))
	for _, r := range rows {
		synced := "-"
		if r.SyncedAt != nil {
			synced = r.SyncedAt.UTC().Format("2006-01-02 15:04:05Z")
		}
		status := 0
		if r.HTTPStatus != nil {
			status = *r.HTTPStatus
		}
		d.line("%2d  %-20s  %-7s  %8d  %11d  %s", r.ID, r.Event, r.Status, r.Attempts, status, synced)
	}
	return nil
}

// verify holds what was shown against what was promised.
func (d *demo) verify(ctx context.Context) error {
	rows, err := d.rows(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for len(d.arrived) > 0 { // nothing more may have come since
		d.received = append(d.received, <-d.arrived)
	}
	first, last := d.documentDeliveries()
	ghosts := 0
	for _, got := range d.received {
		if bytes.Contains(got.body, []byte("Ghost")) {
			ghosts++
		}
	}
	allSent := len(rows) == 7
	for _, r := range rows {
		allSent = allSent && r.Status == "sent"
	}
	ok := d.check("seven events were committed, and the database says that all are sent", allSent)
	ok = d.check("eight requests arrived: six events once, the document twice", len(d.received) == 8) && ok
	ok = d.check("the document was refused with a 503 first, and arrived after the next ten-second mark",
		first != nil && last != nil && first.status == 503 && last.status == 200 && last.at.Unix()/10 > first.at.Unix()/10) && ok
	ok = d.check("both attempts carried the same bytes and the same webhook-id",
		first != nil && last != nil && bytes.Equal(first.body, last.body) && first.webhookID == last.webhookID) && ok
	ok = d.check("the rolled-back transaction delivered nothing", ghosts == 0) && ok
	if !ok {
		return errors.New("demo: something above is not true")
	}
	d.line("next: the README shows how to install this beside your own application.")
	return nil
}

func (d *demo) documentDeliveries() (first, last *delivery) {
	for i := range d.received {
		if d.received[i].event == outbox.EventDocumentExported {
			if first == nil {
				first = &d.received[i]
			} else {
				last = &d.received[i]
			}
		}
	}
	return first, last
}

// screen writes to a person, with colour where there is a terminal.
type screen struct {
	w      io.Writer
	colour bool
}

func (s screen) title(text string)        { fmt.Fprintf(s.w, "\n%s\n\n", s.paint("1", text)) }
func (s screen) fact(name, text string)   { fmt.Fprintf(s.w, "  %-11s %s\n", name, text) }
func (s screen) line(f string, a ...any)  { fmt.Fprintf(s.w, "  "+f+"\n", a...) }
func (s screen) green(text string) string { return s.paint("32", text) }
func (s screen) red(text string) string   { return s.paint("31", text) }
func (s screen) dim(text string) string   { return s.paint("2", text) }

func (s screen) section(title, about string) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint("1", title))
	if about != "" {
		fmt.Fprintf(s.w, "%s\n", s.dim(about))
	}
	fmt.Fprintln(s.w)
}

func (s screen) check(what string, ok bool) bool {
	if ok {
		s.line("%s  %s", s.green("yes"), what)
	} else {
		s.line("%s  %s", s.red("NO "), what)
	}
	return ok
}

func (s screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
