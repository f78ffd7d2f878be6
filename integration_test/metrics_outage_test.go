package integration_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestMetrics_AScrapeAnswersWhileTheDatabaseIsAway: at once, with what this process knows, and with the
// age of what it does not. The worker lives and is not ready; then it is again.
func TestMetrics_AScrapeAnswersWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := newProxy(t, db.address)
	p.setMode(cutting)
	_, address := startMeasured(t, patient(p.address))
	readyz := func() string {
		alive, text := get(t, address+"/livez")
		if alive != 200 || text != "ok\n" {
			t.Errorf("/livez answers %d %s", alive, text)
		}
		status, text := get(t, address+"/readyz")
		return fmt.Sprint(status, " ", strings.TrimSpace(text))
	}
	if got := readyz(); got != "503 not ready: waiting for the database and its schema" {
		t.Errorf("before the database is there: %s", got)
	}
	health := func(args ...string) string {
		out, errs, status := runProgram(t, settings{"WEBHOOK_METRICS_LISTEN": strings.TrimPrefix(address, "http://")}, nil, append([]string{"health"}, args...)...)
		return fmt.Sprint(status, " ", strings.TrimSpace(out+errs))
	}
	if got := health(); got != "1 webhooks: health: not ready: waiting for the database and its schema" {
		t.Errorf("webhooks health before the database is there: %s", got)
	}
	if got := health("--live"); got != "0 ok" {
		t.Errorf("webhooks health --live: %s", got)
	}
	s := scraped(t, address)
	s.expect(t, scrape{"webhook_poll_last_success_timestamp_seconds": 0, "webhook_database_read_timestamp_seconds": 0})
	if _, there := s["webhook_offline_mode"]; there {
		t.Error("a value of the database without a read")
	}
	p.heal()
	eventually(t, "the worker is ready", func() bool { return readyz() == "200 ok" })
	eventually(t, "the database was read", func() bool { return scraped(t, address)["webhook_database_read_timestamp_seconds"] > 0 })

	if got := health(); got != "0 ok" {
		t.Errorf("webhooks health: %s", got)
	}

	p.setMode(blackHole)
	p.hang()
	publishBoth(db, 1)
	began := time.Now()
	for range 5 {
		s = scraped(t, address)
	}
	if took := time.Since(began); took > 30*time.Second { // a statement waits for 15 s
		t.Errorf("five scrapes took %s", took)
	}
	if s["webhook_poll_last_success_timestamp_seconds"] == 0 || s["webhook_database_read_timestamp_seconds"] == 0 {
		t.Error("the ages are missing")
	}
	p.away()
	p.heal()
	finished(t, db)
	if got := readyz(); got != "200 ok" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestMetrics_ThreeWorkers: each counts its own, and what comes from the database is the same on all. One
// dies with events in flight: the others count the leases that they end, and what was lost.
func TestMetrics_ThreeWorkers(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 3)
	dying := startWorker(t, quick(db.address))
	inFlight(t, rcv, 6)
	dying.kill()
	g.release()
	var addresses []string
	for range 3 {
		_, address := startMeasured(t, quick(db.address))
		addresses = append(addresses, address)
	}
	var all []scrape
	sum := func(series string) (total float64) {
		for _, s := range all {
			total += s[series]
		}
		return total
	}
	eventually(t, "the leases have expired, the documents are sent, all have read that", func() bool {
		all = nil
		for _, address := range addresses {
			all = append(all, scraped(t, address))
		}
		done := sum("webhook_leases_expired_total") == 6 && sum(attempts("documents", "sent", "")) == 3
		for _, s := range all {
			last := of("webhook_channel_last_success_timestamp_seconds", "documents")
			done = done && s[last] > 0 && s[last] == all[0][last] // each reads at a time of its own
		}
		return done
	})
	for series, want := range map[string]float64{
		attempts("contacts", "failed", "interrupted"): 3,
		attempts("contacts", "sent", ""):              0,
		attempts("documents", "retry", "interrupted"): 3,
		"webhook_in_flight{channel=\"contacts\"}":     0,
	} {
		if got := sum(series); got != want {
			t.Errorf("%s is %v on all three, want %v", series, got, want)
		}
	}
	for _, series := range []string{of("webhook_channel_last_success_timestamp_seconds", "documents"), of("webhook_pending", "documents"), "webhook_offline_mode"} {
		if all[0][series] != all[1][series] || all[1][series] != all[2][series] {
			t.Errorf("%s differs: %v, %v, %v", series, all[0][series], all[1][series], all[2][series])
		}
	}
}

// TestMetrics_TheListener: what it serves where, and what a setting that is wrong says.
func TestMetrics_TheListener(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, nil).URL)
	_, address := startMeasured(t, quick(db.address))
	port := address[strings.LastIndexByte(address, ':')+1:]
	for _, c := range []struct {
		path, host string
		want       int
	}{
		{"/debug/pprof/", "", 200}, {"/debug/pprof/goroutine?debug=1", "", 200}, {"/debug/pprof/cmdline", "", 404},
		{"/debug/pprof/", "rebound.example:" + port, 403}, {"/", "", 404}, {"/metrics/", "", 404},
	} {
		if status := getAs(t, address+c.path, c.host); status != c.want {
			t.Errorf("%s as %q answers %d, want %d", c.path, c.host, status, c.want)
		}
	}
	env := quick(db.address)
	env["WEBHOOK_METRICS_LISTEN"] = "0.0.0.0:0"
	open := startWorker(t, env)
	everywhere := strings.Replace(open.metricsAddress(t), "[::]", "127.0.0.1", 1)
	if status := getAs(t, everywhere+"/debug/pprof/", ""); status != 404 {
		t.Errorf("beyond this machine /debug/pprof/ answers %d", status)
	}
	if status := getAs(t, everywhere+"/metrics", ""); status != 200 {
		t.Errorf("beyond this machine /metrics answers %d", status)
	}

	everywhere = strings.Replace(everywhere, "http://127.0.0.1", "", 1)
	if out, errs, status := runProgram(t, settings{"WEBHOOK_METRICS_LISTEN": everywhere}, nil, "health"); status != 0 && !strings.Contains(errs, "not ready") {
		t.Errorf("webhooks health at %s: exit status %d: %s%s", everywhere, status, out, errs)
	}
	_, errs, status := runProgram(t, settings{}, nil, "health")
	with(t, "health without a listener", errs, "WEBHOOK_METRICS_LISTEN is not set")
	if status != 2 {
		t.Errorf("health without a listener: exit status %d", status)
	}
	_, errs, status = runProgram(t, env, nil, "run", "--metrics-listen", "9464")
	with(t, "no address", errs, "9464", "is no address to listen on, such as 127.0.0.1:9464")
	if status != 2 {
		t.Errorf("no address: exit status %d", status)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, errs, status = runProgram(t, env, nil, "run", "--metrics-listen", taken.Addr().String())
	with(t, "an address that is taken", errs, "WEBHOOK_METRICS_LISTEN: ", "address already in use")
	if status != 1 {
		t.Errorf("an address that is taken: exit status %d", status)
	}
}

// TestMetrics_AWorkerThatMayNotDeliverIsNotReady: it says why, without a secret.
func TestMetrics_AWorkerThatMayNotDeliverIsNotReady(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, nil).URL)
	db.exec(`update webhook.settings set environment = 'production'`)
	_, address := startMeasured(t, quick(db.address))
	var text string
	eventually(t, "it is not ready", func() bool {
		var status int
		status, text = get(t, address+"/readyz")
		return status == 503 && strings.Contains(text, "environment")
	})
	with(t, "/readyz", text, "not ready: the worker ", "delivers nothing: its WEBHOOK_ENVIRONMENT is not set, webhook.settings.environment is production")
	db.exec(`update webhook.settings set environment = null`)
	eventually(t, "it is ready in the next cycle", func() bool { status, _ := get(t, address+"/readyz"); return status == 200 })
}

// TestMetrics_OnceServesThemToo: while it runs.
func TestMetrics_OnceServesThemToo(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 1)
	w, address := startMeasured(t, patient(db.address), "--once")
	inFlight(t, rcv, 2)
	eventually(t, "the database is read", func() bool {
		s := scraped(t, address)
		return s[of("webhook_in_flight", "contacts")] == 1 && s[of("webhook_channel_enabled", "contacts")] == 1
	})
	g.release()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
