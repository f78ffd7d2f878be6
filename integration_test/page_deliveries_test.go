package integration_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// deliveriesPage is the page over a database, in this process.
type deliveriesPage struct {
	t     testing.TB
	store *store.Admin
	page  http.Handler
}

func newDeliveriesPage(t testing.TB, db *database) *deliveriesPage {
	t.Helper()
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	a := store.NewAdmin(pool, store.Schema{})
	return &deliveriesPage{t, a, admin.New(a, zap.NewNop(), admin.Options{Loopback: true, User: "Jane"})}
}

// get is the answer to a GET of a path.
func (p *deliveriesPage) get(path string) (status int, text string) {
	return p.serve(httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil))
}

// post submits a form.
func (p *deliveriesPage) post(path string, form url.Values) (status int, text string) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.serve(r)
}

func (p *deliveriesPage) serve(r *http.Request) (status int, text string) {
	w := httptest.NewRecorder()
	p.page.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var (
	listedID = regexp.MustCompile(`aria-label="Delivery (\d+)"`)
	olderTo  = regexp.MustCompile(`href="([^"]*)"[^>]*>(?:Older|Search older)<`)
)

// all follows the links of the list to its end: the ids of each page.
func (p *deliveriesPage) all(query string) (pages [][]int64) {
	p.t.Helper()
	path := "/deliveries" + query
	for range 2000 {
		status, text := p.get(path)
		if status != http.StatusOK {
			p.t.Fatalf("%s: status %d: %s", path, status, text)
		}
		var ids []int64
		for _, m := range listedID.FindAllStringSubmatch(text, -1) {
			id, _ := strconv.ParseInt(m[1], 10, 64)
			ids = append(ids, id)
		}
		pages = append(pages, ids)
		link := olderTo.FindStringSubmatch(text)
		if link == nil {
			return pages
		}
		path = html.UnescapeString(link[1])
	}
	p.t.Fatalf("the list %s does not end", query)
	return nil
}

// scatter writes rows of every event in every state, in any order of their times. With skewed, a filter finds many in one
// stretch of ids and none in the next.
func scatter(db *database, rows int, skewed bool) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, is_test, data, occurred_at, due_at, status, attempts, claim_id, claimed_by, claimed_at, leased_until,
			finished_at, synced_at, http_status, failure, received, error)
		select event, test, data, at, due, status,
		       case when status in ('sent', 'failed', 'sending') or leased or refused then 1 else 0 end,
		       case when status in ('sent', 'failed', 'sending') or leased or refused then gen_random_uuid() end, 'host:7', at,
		       case when leased or status = 'sending' then now() + interval '1 hour' end,
		       case when status not in ('pending', 'sending') then done end,
		       case when status = 'sent' and event = 'document.exported' then done end,
		       case when status = 'sent' then 200 when status = 'failed' or refused then code end,
		       case when status = 'failed' or refused then failure end,
		       case when status = 'sent' then 'yes' when status = 'failed' or refused then 'no' end,
		       case when status = 'failed' or refused then 'HTTP ' || code || ' %_ from https://ReCeiver-' || n % 7 when status = 'superseded' then 'superseded: row 1' end
		  from (select *, status = 'pending' and event = 'document.exported' and not test and n % 37 > 0 and n % 3 = 0 as refused,
		               -- at most one export of a document is leased: 37 and 40 have no common divisor
		               status = 'pending' and event = 'document.exported' and not test and n % 37 = 0 and not $2 as leased,
		               case failure when 'server_error' then 503 when 'rate_limited' then 429 end as code
		          from (select n, data, test, now() - (d + random() * 2) * interval '1 day' as at, now() - d * interval '1 day' as due,
		                       date_trunc('hour', now() - random() * interval '10 days') + case when n % 5 > 0 then random() * interval '1 hour' else interval '0' end as done,
		                       (array['server_error', 'server_error', 'server_error', 'rate_limited', 'tls'])[1 + floor(random() * 5)] as failure,
		                       case when $2 and n between $1 / 4 and $1 / 2 then 'audit.log' when $2 and n > $1 * 7 / 8 then 'contact.created' else event end as event,
		                       case when $2 and n between $1 / 4 and $1 / 2 then 'skipped' when $2 and n > $1 * 7 / 8 then 'sent' else status end as status
		                  from (select *, case when event = 'document.exported' and not test then (array['pending', 'sent', 'sent', 'superseded', 'cancelled'])[1 + floor(random() * 5)]
		                                       else (array['pending', 'sending', 'sent', 'sent', 'failed', 'skipped', 'cancelled', 'sent'])[1 + floor(random() * 8)] end as status
		                          from (select n, (array['document.exported', 'contact.created', 'contact.created', 'case.created', 'audit.log'])[1 + floor(random() * 5)] as event,
		                                       random() < 0.05 as test, json_build_object('id', n % 40) as data, random() * 8 as d
		                                  from generate_series(1, $1) n) a) b) c) d`, rows, skewed)
}

// drawFilter is a filter as a query, and as a condition written anew.
func drawFilter(t *rapid.T, now time.Time) (query url.Values, condition string) {
	query = url.Values{}
	conditions := []string{"true"}
	pick := func(name string, values map[string]string) {
		if !rapid.Bool().Draw(t, name+" is set") {
			return
		}
		var keys []string
		for key := range values {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		key := rapid.SampledFrom(keys).Draw(t, name)
		query.Set(name, key)
		conditions = append(conditions, values[key])
	}
	pick("channel", map[string]string{"documents": `event = 'document.exported'`, "contacts": `event = 'contact.created'`, "audit_log": `event = 'audit.log'`, "rules": `event = 'rule.executed'`})
	pick("status", map[string]string{"pending": `finished_at is null`, "sending": `leased_until is not null`, "sent": `status = 'sent'`,
		"failed": `status = 'failed'`, "skipped": `status = 'skipped'`, "superseded": `status = 'superseded'`, "cancelled": `status = 'cancelled'`})
	pick("failure", map[string]string{"server_error": `failure = 'server_error'`, "tls": `failure = 'tls'`, "dns": `failure = 'dns'`})
	pick("document", map[string]string{"7": `document_id = '7'`, "no such": `false`})
	pick("error", map[string]string{"receiver-3": `error ilike '%receiver-3%'`, "%": `error like '%\%%'`, "superseded": `error like '%superseded%'`, "no such": `false`})
	ago := func(d time.Duration, order string) (typed, condition string) {
		at := now.Add(-d).UTC().Format(time.RFC3339Nano)
		return at, fmt.Sprintf("coalesce(finished_at, occurred_at) %s '%s'", order, at)
	}
	since, from := ago(5*24*time.Hour, ">=")
	until, to := ago(3*24*time.Hour, "<")
	pick("since", map[string]string{since: from})
	pick("until", map[string]string{until: to})
	return query, strings.Join(conditions, " and ")
}

// TestPageDeliveries_FilterIsTheNaiveQuery: whatever the filter, however little a search may examine and however soon it
// gives up the indexes by time, the pages of the list show each delivery that matches once; where it may examine all, in the order of the ids.
func TestPageDeliveries_FilterIsTheNaiveQuery(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	scatter(db, 500, false)
	scatter(db, 700, true)
	now := time.Now()
	page := newDeliveriesPage(t, db)
	rapid.Check(t, func(t *rapid.T) {
		examined := rapid.SampledFrom([]int{100000, 600, 150, 60}).Draw(t, "examined")
		page.store.Examine(examined)
		page.store.Hurry(rapid.SampledFrom([]time.Duration{time.Minute, time.Millisecond}).Draw(t, "time"))
		query, condition := drawFilter(t, now)
		var want []int64
		if err := db.Select(&want, `select id from webhook.outbox where `+condition+` order by id desc`); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(page.all("?" + query.Encode())...)
		if examined < 1200 {
			slices.SortFunc(got, func(a, b int64) int { return int(b - a) })
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, %d examined: %d deliveries, %d were expected\n%v\n%v", query, examined, len(got), len(want), got, want)
		}
	})
}

// TestPageDeliveries_ByTimeBelowThePagesBefore: a search that goes by time from the second page on shows nothing of the first
// page again, and nothing of its own stretches of time twice or never.
func TestPageDeliveries_ByTimeBelowThePagesBefore(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	insert := `insert into webhook.outbox (event, data, status, http_status, received, attempts, claim_id, finished_at)
		select $1, '{}', $2, case $2 when 'sent' then 200 end, case $2 when 'sent' then 'yes' end, 1, gen_random_uuid(),
		       now() - $3::interval - (n * 7919 % 1000) * interval '1 minute' from generate_series(1, $4) n`
	db.exec(insert, "contact.created", "sent", "1 day", 300)
	db.exec(insert, "audit.log", "skipped", "1 day", 200)
	db.exec(insert, "contact.created", "sent", "10 days", 60) // the newest by their ids, the oldest by their ends
	page := newDeliveriesPage(t, db)
	page.store.Examine(100)
	pages := page.all("?channel=contacts")
	got := slices.Concat(pages...)
	slices.Sort(got)
	if len(got) != 360 || len(slices.Compact(got)) != 360 {
		t.Errorf("%d deliveries on %d pages, %d of them different; 360 were expected", len(got), len(pages), len(slices.Compact(got)))
	}
}

// TestPageDeliveries_RangesThatTakeTooLong: where the indexes by time cannot be read soon, the list goes down the ids instead.
func TestPageDeliveries_RangesThatTakeTooLong(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	wanted := db.inState("failed", "contact.created", `{}`)
	db.exec(`insert into webhook.outbox (event, data, attempts, failure, received) select 'document.exported', '{}', 1, 'server_error', 'no' from generate_series(1, 60000)`)
	page := newDeliveriesPage(t, db)
	page.store.Examine(30000) // takes some ten milliseconds
	page.store.Hurry(time.Millisecond)
	with(t, "the list", func() string { _, text := page.get("/deliveries?status=pending&failure=tls"); return text }(), "down to delivery")
	got := slices.Concat(page.all("?status=failed")...)
	if !slices.Equal(got, []int64{wanted}) {
		t.Errorf("found %v, %d was expected", got, wanted)
	}
}

// TestPageDeliveries_PagesOfFifty: a page has fifty, in the order of the ids, and the next one begins below it.
func TestPageDeliveries_PagesOfFifty(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	scatter(db, 120, false)
	page := newDeliveriesPage(t, db)
	pages := page.all("")
	if len(pages) != 3 || len(pages[0]) != 50 || len(pages[1]) != 50 {
		t.Fatalf("%d pages: %v", len(pages), pages)
	}
	status, text := page.get(fmt.Sprintf("/deliveries?before=%d", pages[0][49]))
	if status != http.StatusOK || !strings.Contains(text, fmt.Sprintf(`aria-label="Delivery %d"`, pages[1][0])) || !strings.Contains(text, `href="/deliveries">Newest</a>`) {
		t.Errorf("status %d: %s", status, text)
	}
}

// TestPageDeliveries_NewOnesAreCounted: the script of the list learns how many that match are newer.
func TestPageDeliveries_NewOnesAreCounted(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	first := db.inState("failed", "contact.created", `{}`)
	for range 3 {
		db.inState("failed", "contact.created", `{}`)
		db.inState("sent", "case.created", `{}`)
	}
	for query, want := range map[string]string{
		fmt.Sprintf("after=%d", first):                 `{"count":6,"more":false}`,
		fmt.Sprintf("after=%d&status=failed", first):   `{"count":3,"more":false}`,
		fmt.Sprintf("after=%d&channel=folders", first): `{"count":0,"more":false}`,
	} {
		if status, text := page.get("/deliveries/new?" + query); status != http.StatusOK || text != want {
			t.Errorf("%s: status %d, %s, %s was expected", query, status, text, want)
		}
	}
	scatter(db, 60, false)
	if _, text := page.get("/deliveries/new?after=0"); text != `{"count":50,"more":true}` {
		t.Errorf("of more than fifty: %s", text)
	}
	if status, _ := page.get("/deliveries/new?after=x"); status != http.StatusUnprocessableEntity {
		t.Errorf("a malformed id: status %d", status)
	}
}

// TestPageDeliveries_PlansReadFewRows: with many finished rows no filter reads more than a few steps' worth of them, and
// none reads the whole table.
func TestPageDeliveries_PlansReadFewRows(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	a := store.NewAdmin(pool, store.Schema{})
	const examined = 1000
	a.Examine(examined)
	page := &deliveriesPage{t, a, admin.New(a, zap.NewNop(), admin.Options{Loopback: true, User: "Jane"})}
	id := db.count(`select max(id) from webhook.outbox where status = 'sent'`)
	queries := []string{"", "?status=failed", "?status=failed&error=no+such", "?status=sent&channel=contacts", "?status=skipped&until=10d", "?channel=folders",
		"?channel=audit_log&failure=tls", "?failure=dns", "?document=42", "?document=no+such", "?error=no+such", "?status=pending", "?status=pending&channel=documents&failure=tls",
		"?status=sending", "?since=2h", "?until=15d", "?since=12d&until=11d&status=failed", "?status=cancelled", "?before=5000&status=pending"}
	scans := func() (is touched) {
		if err := db.Get(&is, `select seq_scan, coalesce(idx_tup_fetch, 0) + seq_tup_read as rows from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`); err != nil {
			t.Fatal(err)
		}
		return is
	}
	before := scans()
	for _, query := range queries {
		began := time.Now()
		if status, text := page.get("/deliveries" + query); status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", query, status, text)
		}
		t.Logf("%s: %s", query, time.Since(began).Round(time.Millisecond))
	}
	for _, path := range []string{fmt.Sprintf("/deliveries/%d", id), fmt.Sprintf("/deliveries/%d/payload", id), fmt.Sprintf("/deliveries/%d/resend", id), "/deliveries/new?after=10&failure=dns"} {
		if status, text := page.get(path); status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", path, status, text)
		}
	}
	pool.Close() // a session hands in its statistics at the latest when it ends
	most := int64(len(queries)+1) * 4 * examined
	var after touched
	eventually(t, "the statistics have arrived", func() bool { after = scans(); return after.Rows > before.Rows })
	if after.SeqScans != before.SeqScans || after.Rows-before.Rows > most {
		t.Errorf("%d sequential scans, %d rows were fetched, at most %d were expected", after.SeqScans-before.SeqScans, after.Rows-before.Rows, most)
	}
}
