package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// demoDocument is the event whose first attempt fails in the demo.
const demoDocument = "document.exported"

// setUp makes the schema, the application's tables, the receiver, the worker and, if that is wanted, the page.
func (d *demo) setUp(ctx context.Context, p Process, withPage bool) (stopAll func(), err error) {
	if _, err := store.Migrate(ctx, d.db, p.Schema); err != nil {
		return nil, err
	}
	if _, err := d.db.ExecContext(ctx, demoTables); err != nil {
		return nil, fmt.Errorf("make the application's tables: %w", err)
	}
	cfg, err := demoConfig()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := "http://" + l.Addr().String()
	if err := d.configure(ctx, base); err != nil {
		_ = l.Close()
		return nil, err
	}
	var version string
	if err := d.db.GetContext(ctx, &version, `select current_setting('server_version')`); err != nil {
		_ = l.Close()
		return nil, err
	}
	d.item("PostgreSQL", version+", a temporary server of this demo")
	d.item("receiver", base)
	d.item("worker", fmt.Sprintf("polls every %s", *cfg.pollInterval))
	endPage := func() {}
	running, end := context.WithCancel(ctx)
	if withPage {
		shown, err := d.openPage(p)
		if err != nil {
			end()
			_ = l.Close()
			return nil, err
		}
		d.item("page", d.page)
		endPage = shown.beside(running)
	}
	go serve(running, l, d.receivers())                                           //nolint:errcheck // a receiver that ends early fails the tour: nothing arrives
	go newWorker(d.db, "", 0, zap.NewNop(), cfg, nil, nil).work(running, running) //nolint:errcheck // it ends with the tour, which shows what arrives instead of a log
	return func() { end(); endPage() }, nil
}

// openPage listens for the page: at its usual address, or at another one if that is taken.
func (d *demo) openPage(p Process) (*page, error) {
	l, err := net.Listen("tcp", "127.0.0.1:8098")
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	db, err := store.Open(d.dsn)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	d.page = fmt.Sprintf("http://%s/", l.Addr())
	options := admin.Options{Loopback: true, Version: Version(), User: localUser()}
	return &page{listener: l, db: db, log: zap.NewNop(), handler: admin.New(store.NewAdmin(db, p.Schema), zap.NewNop(), options)}, nil
}

func demoConfig() (*workerConfig, error) {
	f := &flags{FlagSet: pflag.NewFlagSet("demo", pflag.ContinueOnError), name: "demo", p: Process{Stderr: io.Discard, Stdout: io.Discard}}
	cfg := f.worker()
	return cfg, cfg.networks.set("127.0.0.0/8")
}

// configure turns every channel on.
func (d *demo) configure(ctx context.Context, base string) error {
	if _, err := d.db.ExecContext(ctx, `update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`); err != nil {
		return err
	}
	_, err := d.db.ExecContext(ctx, `update webhook.channels set url = $1 || '/' || name, enabled = true`, base)
	return err
}

// receivers is an endpoint for each channel. That of documents fails once.
func (d *demo) receivers() http.Handler {
	mux := http.NewServeMux()
	for _, c := range outbox.Channels() {
		r := &receiver{answers: []int{200}, got: func(got delivery) { d.arrived <- got }}
		if c.Event == demoDocument {
			r.answers = []int{503, 200}
		}
		mux.Handle("/"+c.Name, r)
	}
	return mux
}
