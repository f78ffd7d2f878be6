package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pages are what the section asks for. Words in braces stand for ids, see pageIDs.
var pages = []struct{ name, path string }{
	{"overview", "/overview"},
	{"overview, its live figures", "/overview/figures"},
	{"settings", "/settings/integrations/webhooks"},
	{"general", "/settings/general"},
	{"deliveries", "/deliveries"},
	{"deliveries, from the middle of the table on", "/deliveries?before={middle}"},
	{"deliveries of one channel", "/deliveries?channel=cases"},
	{"deliveries that wait", "/deliveries?status=pending"},
	{"deliveries that failed", "/deliveries?status=failed"},
	{"deliveries that failed, of a channel and a week", "/deliveries?channel=contacts&status=failed&since=7d"},
	{"deliveries of a day three weeks ago", "/deliveries?since=21d&until=20d"},
	{"deliveries with a class of failure", "/deliveries?failure=timeout"},
	{"deliveries with a class of failure that there is none of", "/deliveries?failure=tls"},
	{"deliveries with a text in the error", "/deliveries?error=unavailable"},
	{"deliveries with a text that no error has", "/deliveries?error=no+such+text"},
	{"deliveries of a document", "/deliveries?document=20"},
	{"deliveries of a document that there is none of", "/deliveries?document=none"},
	{"deliveries, all filters at once, of which none is left", "/deliveries?channel=rules&status=failed&failure=dns&error=no+such+text&since=20d&until=1d"},
	{"deliveries, how many are new", "/deliveries/new?after={sent}"},
	{"one delivery, sent", "/deliveries/{sent}"},
	{"one delivery, failed", "/deliveries/{failed}"},
	{"one delivery, waiting", "/deliveries/{waiting}"},
	{"resend one: the question", "/deliveries/{failed}/resend"},
	{"resend many: the question", "/deliveries/resend?status=failed"},
	{"resend many, of a channel and a week", "/deliveries/resend?channel=contacts&status=failed&since=7d"},
	{"resend many, whatever has finished", "/deliveries/resend?include_received=yes"},
	{"resend many, documents with later exports", "/deliveries/resend?channel=documents&include_received=yes"},
	{"resend many, a text that no error has", "/deliveries/resend?error=no+such+text"},
}

// pageRequests is how often each page is asked for in a round.
const pageRequests = 50

// pageLimit is what page.md allows for each page.
const pageLimit = 100 * time.Millisecond

// pageSection measures the administrator's page over loopback: built binary, much history, much that waits.
func pageSection(ctx context.Context, s *stage, r *report) error {
	if err := s.fillPage(ctx); err != nil {
		return err
	}
	ids, err := s.pageIDs(ctx)
	if err != nil {
		return err
	}
	p, err := startProcess(filepath.Join(s.dir, "page.log"), []string{"DATABASE_URL=" + s.dsn()}, s.binary, "admin", "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = p.stop(stopWorker) }()
	address, err := p.stdout.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the page did not start: %w\n%s", err, p.logTail())
	}
	site := strings.TrimSuffix(strings.TrimSpace(address), "/")
	t := table{{"page", "p50", "p99", "longest", "wanted", "CPU of PostgreSQL", "CPU of the page", "size"}}
	for _, page := range pages {
		database, program := s.postgres.cpu(), p.cpu()
		took, size, err := s.askPage(ctx, site+ids.Replace(page.path))
		if err != nil {
			return fmt.Errorf("%s: %w", page.name, err)
		}
		each := func(all time.Duration) string { return milliseconds(all / time.Duration(len(took)+uncounted)) }
		t = append(t, []string{page.name, milliseconds(percentile(took, 50)), milliseconds(percentile(took, 99)), milliseconds(took[len(took)-1]),
			"< " + milliseconds(pageLimit), each(s.postgres.cpu() - database), each(p.cpu() - program), fmt.Sprintf("%d kB", size>>10)})
	}
	r.table(t)
	r.notef("%s finished and %s waiting events; each page %d times, one after the other, over loopback; the times are of the whole answer, the CPU is that of one. The page's process: %s resident at most.",
		number(s.shown), number(s.blocked), pageRequests*s.rounds, megabytes(p.peak()))
	return nil
}

// uncounted is how many answers fill the caches first.
const uncounted = 3

// askPage returns what the answers took, sorted, and the size of the last. The first ones do not count.
func (s *stage) askPage(ctx context.Context, url string) (took []time.Duration, size int64, err error) {
	for i := range pageRequests*s.rounds + uncounted {
		began := time.Now()
		if size, err = getPage(ctx, url); err != nil {
			return nil, 0, err
		}
		if i >= uncounted {
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took, size, nil
}

func getPage(ctx context.Context, url string) (size int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	size, err = io.Copy(io.Discard, answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	return size, err
}

// pageIDs are the ids that the words in braces stand for.
func (s *stage) pageIDs(ctx context.Context) (*strings.Replacer, error) {
	var pairs []string
	for word, query := range map[string]string{
		"{sent}":    `select max(id) from webhook.outbox where event = 'document.exported' and status = 'sent'`,
		"{failed}":  `select max(id) from webhook.outbox where event = 'contact.created' and status = 'failed'`,
		"{waiting}": `select id from webhook.outbox where event = 'document.exported' and status = 'pending' and attempts > 0 limit 1`,
		"{middle}":  `select max(id) / 2 from webhook.outbox`,
	} {
		id, err := s.count(ctx, query)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, word, fmt.Sprint(id))
	}
	return strings.NewReplacer(pairs...), nil
}
