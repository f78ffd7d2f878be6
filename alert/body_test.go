package alert

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"
)

var (
	began = time.Date(2026, 3, 22, 8, 30, 0, 999, time.UTC)
	ended = time.Date(2026, 3, 22, 9, 0, 0, 0, time.FixedZone("x", 0))
)

func TestBody_IsASentenceForPeopleAndFieldsForPrograms(t *testing.T) {
	for _, c := range []struct {
		alert Alert
		page  string
		want  string
	}{
		{Alert{ID: 7, Kind: ChannelFailing, Channel: "contacts", Since: began, Until: ended, Events: 12, EventID: 1001, Failure: "server_error", HTTPStatus: 503,
			Hint: "The receiving server is down.", Host: "hook.eu1.make.com", InstanceID: "i", Environment: "production"}, "https://page.example",
			`{"text":"RecordEngine webhooks (production): channel contacts fails since 2026-03-22T08:30:00Z, server_error (HTTP 503) at hook.eu1.make.com. 12 events failed or wait, for example event 1001. The receiving server is down. https://page.example/deliveries/1001",` +
				`"kind":"channel_failing","id":"i-alert-7","environment":"production","channel":"contacts","host":"hook.eu1.make.com","failure":"server_error","http_status":503,"hint":"The receiving server is down.",` +
				`"since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":12,"event_id":1001,"link":"https://page.example/deliveries/1001"}`},
		{Alert{ID: 8, Kind: ChannelRecovered, Channel: "contacts", Since: began, Until: ended, Events: 1, InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: channel contacts has recovered: it delivers since 2026-03-22T09:00:00Z, after it had failed since 2026-03-22T08:30:00Z. 1 event waits.",` +
				`"kind":"channel_recovered","id":"i-alert-8","channel":"contacts","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":1}`},
		{Alert{ID: 9, Kind: EventsLost, Channel: "audit_log", Since: began, Until: ended, Events: 10001, EventID: 5, Failure: "timeout", InstanceID: "i"}, "https://page.example/base",
			`{"text":"RecordEngine webhooks: more than 10000 events of channel audit_log failed since 2026-03-22T08:30:00Z, timeout, for example event 5. They are not sent again by themselves. https://page.example/base/deliveries?channel=audit_log&status=failed",` +
				`"kind":"events_lost","id":"i-alert-9","channel":"audit_log","failure":"timeout","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":10000,"count_more":true,"event_id":5,` +
				`"link":"https://page.example/base/deliveries?channel=audit_log&status=failed"}`},
		{Alert{ID: 9, Kind: ChannelFailing, Channel: "rules", Since: began, Until: ended, Events: 10001, Failure: "dns", InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: channel rules fails since 2026-03-22T08:30:00Z, dns. More than 10000 events failed or wait.",` +
				`"kind":"channel_failing","id":"i-alert-9","channel":"rules","failure":"dns","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":10000,"count_more":true}`},
		{Alert{ID: 10, Kind: WorkerMissing, Since: began, Until: ended, Events: 1, Worker: "host:7", Workers: 1, InstanceID: "i"}, "https://page.example",
			`{"text":"RecordEngine webhooks: worker host:7 was not seen since 2026-03-22T09:00:00Z. 1 is running. It was killed, hangs, or cannot reach the database: read its log. https://page.example/overview",` +
				`"kind":"worker_missing","id":"i-alert-10","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":1,"worker":"host:7","workers":1,"link":"https://page.example/overview"}`},
		{Alert{ID: 11, Kind: WorkerMissing, Since: began, Until: ended, Events: 3, Worker: "host:7", Workers: 2, InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: 3 workers, the last of them host:7, were not seen since 2026-03-22T09:00:00Z. 2 are running. Each was killed, hangs, or cannot reach the database: read its log.",` +
				`"kind":"worker_missing","id":"i-alert-11","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","count":3,"worker":"host:7","workers":2}`},
		{Alert{ID: 12, Kind: NoWorker, Since: began, Until: began, Events: 2, Worker: "host:7", InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: no worker is running: the last one, host:7, was seen at 2026-03-22T08:30:00Z. 2 events wait. Start one: webhooks run.",` +
				`"kind":"no_worker","id":"i-alert-12","since":"2026-03-22T08:30:00Z","until":"2026-03-22T08:30:00Z","count":2,"worker":"host:7","workers":0}`},
		{Alert{ID: 13, Kind: NoWorker, Since: began, Until: began, Events: 1, InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: no worker is running. 1 event waits. Start one: webhooks run.",` +
				`"kind":"no_worker","id":"i-alert-13","since":"2026-03-22T08:30:00Z","until":"2026-03-22T08:30:00Z","count":1,"workers":0}`},
		{Alert{ID: 14, Kind: WorkerBack, Since: began, Until: ended, Worker: "host:8", Workers: 1, InstanceID: "i"}, "",
			`{"text":"RecordEngine webhooks: a worker is running again; there was none since 2026-03-22T08:30:00Z.",` +
				`"kind":"worker_back","id":"i-alert-14","since":"2026-03-22T08:30:00Z","until":"2026-03-22T09:00:00Z","worker":"host:8","workers":1}`},
	} {
		got := c.alert.body(c.page)
		if string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s\n got %s\nwant %s", c.alert.Kind, got, c.want)
		}
	}
}

// TestBody_IsAsDocumented: the example of docs/alerting.md.
func TestBody_IsAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/alerting.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindSubmatch(page)
	if example == nil {
		t.Fatal("docs/alerting.md has no example")
	}
	var want bytes.Buffer
	if err := json.Compact(&want, example[1]); err != nil {
		t.Fatal(err)
	}
	a := Alert{
		ID: 7, Kind: ChannelFailing, Channel: "contacts", Since: began, Until: began.Add(25 * time.Second), Events: 12, EventID: 1001,
		Failure: "server_error", HTTPStatus: 503, Host: "hook.eu1.make.com", Environment: "production", InstanceID: "0b0c2c6e-6f0e-4a6c-9a46-2f6a2f3b8d11",
		Hint: "The receiving server is temporarily down or overloaded. Documents are retried automatically, other events are not.",
	}
	if got := a.body("https://webhooks.example.com"); string(got) != want.String() {
		t.Errorf("\n got %s\nwant %s", got, want.String())
	}
}
