// Bench measures, side by side in one run, how fast the worker drains a backlog
// and how fast bare net/http POSTs the same payload to the same receiver.
//
// Absolute figures depend on the machine and its neighbours; only the ratios of
// one run mean something. The database is durable: fsync and synchronous_commit
// are on.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
	"github.com/recordengine/webhooks/temppg"
)

func main() {
	events := flag.Int("events", 20000, "backlog of one drain, in events")
	rounds := flag.Int("rounds", 3, "rounds; the median counts")
	flag.Parse()
	if err := run(context.Background(), *events, *rounds); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, events, rounds int) error {
	schema, err := os.ReadFile("schema.sql")
	if err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	server, err := temppg.Start(ctx, temppg.Options{Durable: true})
	if err != nil {
		return err
	}
	defer server.Stop() //nolint:errcheck // a temporary server
	db, err := store.Open(server.DSN("postgres"))
	if err != nil {
		return err
	}
	if _, err := store.Migrate(ctx, db, string(schema)); err != nil {
		return err
	}
	r, err := startReceiver()
	if err != nil {
		return err
	}
	b := &bench{db: db, receiver: r, events: events}
	if err := b.configure(ctx); err != nil {
		return err
	}
	return b.measure(ctx, rounds)
}

type bench struct {
	db       *sqlx.DB
	receiver *receiver
	events   int
}

// measure takes the three in turn, so that a noisy neighbour disturbs all alike.
func (b *bench) measure(ctx context.Context, rounds int) error {
	var ceiling, once, documents []float64
	for range rounds {
		ceiling = append(ceiling, b.ceiling(ctx))
		rate, err := b.drain(ctx, "audit.log")
		if err != nil {
			return err
		}
		once = append(once, rate)
		if rate, err = b.drain(ctx, outbox.EventDocumentExported); err != nil {
			return err
		}
		documents = append(documents, rate)
	}
	base := median(ceiling)
	fmt.Printf("| backlog of %d, median of %d | events/s | beside the HTTP ceiling |\n| --- | --- | --- |\n", b.events, rounds)
	fmt.Printf("| bare net/http POST, no database | %.0f | 1 |\n", base)
	fmt.Printf("| one-attempt channel (audit.log) | %.0f | %.2f |\n", median(once), median(once)/base)
	fmt.Printf("| documents | %.0f | %.2f |\n", median(documents), median(documents)/base)
	return nil
}

func (b *bench) configure(ctx context.Context) error {
	if _, err := b.db.ExecContext(ctx, `update webhook.channels set enabled = true, url = $1`, b.receiver.url); err != nil {
		return err
	}
	_, err := b.db.ExecContext(ctx, `update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
	return err
}

// facts make envelopes of about 1.4 KB for both kinds.
const facts = `json_build_object('id', n, 'audit_id', n, 'status', 'Export', 'action', 'document_status_changed', 'user', 'jean',
	'filename', 'invoice_' || n || '.pdf', 'details', repeat('d', 1150), 'vendor_name', 'Acme Supplies Ltd', 'total_amount', 12500.00,
	'line_items', json_build_array(json_build_object('line_number', 1, 'amount', 10000.00)))`

// drainLimit is far above what a drain takes.
const drainLimit = 2 * time.Minute

// drain fills the outbox, then lets a fresh worker empty it.
func (b *bench) drain(ctx context.Context, event string) (perSecond float64, err error) {
	for _, query := range []string{`truncate webhook.outbox`, fmt.Sprintf(`
		insert into webhook.outbox (event, data) select '%s', %s from generate_series(1, %d) n`, event, facts, b.events), `checkpoint`, `analyze webhook.outbox`} {
		if _, err := b.db.ExecContext(ctx, query); err != nil {
			return 0, err
		}
	}
	st := store.New(b.db, 90*time.Second)
	defer st.Close()
	w := outbox.New(st,
		sender.New(sender.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Version: "bench"}),
		zap.NewNop(), outbox.Options{PollInterval: 20 * time.Millisecond, Timeout: 30 * time.Second, Lease: 90 * time.Second})
	all := b.receiver.expect(b.events)
	stop, stopWorker := context.WithCancel(ctx)
	began, stopped := time.Now(), make(chan error, 1)
	go func() { stopped <- w.Run(ctx, stop) }()
	select {
	case <-all:
	case <-time.After(drainLimit):
		stopWorker()
		return 0, fmt.Errorf("the backlog of %s was not drained within %s", event, drainLimit)
	}
	stopWorker()
	if err := <-stopped; err != nil { // everything is recorded now
		return 0, err
	}
	took := time.Since(began)
	var sent int
	if err := b.db.GetContext(ctx, &sent, `select count(*) from webhook.outbox where status = 'sent'`); err != nil {
		return 0, err
	}
	if sent != b.events {
		return 0, fmt.Errorf("%d of %d events are sent", sent, b.events)
	}
	return float64(b.events) / took.Seconds(), nil
}

// ceiling POSTs as many payloads of that size as fast as net/http can.
func (b *bench) ceiling(ctx context.Context) (perSecond float64) {
	payload := bytes.Repeat([]byte("x"), 1400)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	all := b.receiver.expect(b.events)
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for next.Add(1) <= int64(b.events) {
				post(ctx, client, b.receiver.url, payload)
			}
		})
	}
	<-all
	wg.Wait()
	return float64(b.events) / time.Since(began).Seconds()
}

func post(ctx context.Context, client *http.Client, url string, payload []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return // the receiver's own URL
	}
	resp, err := client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// receiver counts what it is sent and answers 200.
type receiver struct {
	url     string
	missing atomic.Int64
	all     atomic.Pointer[chan struct{}]
}

func startReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/hook"}
	go http.Serve(l, r) //nolint:errcheck,gosec // it ends with the process
	return r, nil
}

func (r *receiver) expect(n int) <-chan struct{} {
	all := make(chan struct{})
	r.all.Store(&all)
	r.missing.Store(int64(n))
	return all
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	w.WriteHeader(http.StatusOK)
	if r.missing.Add(-1) == 0 {
		close(*r.all.Load())
	}
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
