package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

// malformed is a row that an application may write and that cannot be rendered. An @ in
// the data is a number of the row's own.
type malformed struct{ event, data, occurredAt string }

func unrenderable() (kinds []malformed) {
	for _, data := range []string{
		`{}`,
		`{"id": @, "status": "Draft"}`,
		`{"id": @, "status": 5}`,
		`{"id": @, "status": "Export\u0000"}`,
		`{"status": "Export"}`,
		`{"id": {"$ne": null}, "status": "Export"}`,
		`{"id": "", "status": "Export"}`,
		`{"id": "..", "status": "Export"}`,
		`{"id": "` + strings.Repeat("x", 9000) + `", "status": "Export"}`,
		`{"id": @, "status": "Export", "line_items": "none"}`,
		`{"id": @, "status": "Export", "line_items": [{"amount": 1}, 2]}`,
		`{"id": @, "status": "Export", "line_items": [{"amount": "12.50"}]}`,
		`{"id": @, "status": "Export", "extraction_profile": [1]}`,
		`{"id": @, "status": "Export", "extraction_profile": {"labels": 7}}`,
		`{"id": @, "status": "Export", "external_refs": []}`,
	} {
		kinds = append(kinds, malformed{"document.exported", data, "now"})
	}
	for _, at := range []string{"infinity", "-infinity", "20000-01-01", "0044-03-15 BC", "150000-12-31"} {
		kinds = append(kinds, malformed{oneAttempts()[len(kinds)%6], `{"name": "n"}`, at})
	}
	return kinds
}

// strange is data that the program does not interpret: it is sent as it is.
var strange = []string{
	`{"name": "\u0000\ud800 ' or 1=1; --", "name": "the last counts"}`,
	`{"title": 1e999999999, "name": -0.0e-0}`,
	`{"description": ` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
	`{"rule_name": "` + strings.Repeat("<script>\\u2028", 5000) + `"}`,
}

// isGood compares the text: ->> raises on some of the data.
const isGood = `left(data::text, 7) = '{"good"'`

// TestChaos_TenThousandMalformedRowsHoldUpNoGoodOne writes malformed rows of every kind
// with good ones among them. The good ones arrive, each at its first attempt; the
// malformed ones name their error and delay no other, not even when every document of
// them is retried at the ten-second mark.
func TestChaos_TenThousandMalformedRowsHoldUpNoGoodOne(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	kinds := unrenderable()
	const rounds = 50
	each := 10_000 / rounds / len(kinds)
	for round := range rounds {
		for _, k := range kinds {
			db.exec(`insert into webhook.outbox (event, data, occurred_at) 
				select $1, replace($2, '@', $4 || '000' || n)::json, $3::timestamptz from generate_series(1, $5::int) n`,
				k.event, k.data, k.occurredAt, fmt.Sprint(round+1), each)
		}
		publishGood(db, fmt.Sprint("among-", round))
	}
	if n := db.count(`select count(*) from webhook.outbox where not ` + isGood); n != rounds*each*len(kinds) || n < 10_000 {
		t.Fatalf("%d malformed rows were written", n)
	}
	env := patient(db.address)
	env["WEBHOOK_LOG_LEVEL"] = "debug"
	worker := startWorker(t, env)
	goodArrive(t, db, rcv, "the good ones among ten thousand malformed")
	// All exports of the document ".." except the newest are superseded.
	const wrong = `status <> 'superseded' and not ` + isGood
	eventually(t, "every malformed row has its error", func() bool {
		return db.count(`select count(*) from webhook.outbox where (failure is distinct from 'render' or received is distinct from 'no' or error is null) and `+wrong) == 0
	})
	if n := db.count(`select count(*) from webhook.outbox where status <> case event when 'document.exported' then 'pending' else 'failed' end and ` + wrong); n != 0 {
		t.Errorf("%d malformed rows are neither failed nor pending", n)
	}

	aCycle(t, db, worker)
	db.exec(`update webhook.channels set enabled = true, url = $1 || '/rules' where name = 'rules'`, rcv.URL)
	publishGood(db, "afterwards")
	goodArrive(t, db, rcv, "good ones while the malformed are retried")
	if n := len(rcv.all()); n != db.count(`select count(*) from webhook.outbox where `+isGood) {
		t.Errorf("%d requests: more than the good ones", n)
	}
	if logged := worker.log.String(); strings.Contains(logged, "panic") || strings.Contains(logged, "event released") {
		t.Errorf("the worker logged: %s", logged[:min(len(logged), 2000)])
	}
}

// publishGood writes a good event of each channel, and one with strange data.
func publishGood(db *database, id string) {
	for i, c := range outbox.Channels() {
		db.publish(c.Event, fmt.Sprintf(`{"good": true, "id": %q, "status": "Export"}`, id))
		if c.Event != "document.exported" {
			db.publish(c.Event, `{"good": true, `+strange[i%len(strange)][1:])
		}
	}
}

func goodArrive(t *testing.T, db *database, rcv *receiver, what string) {
	t.Helper()
	eventually(t, what, func() bool {
		return db.count(`select count(*) from webhook.outbox where status <> 'sent' and `+isGood) == 0
	})
	if n := db.count(`select count(*) from webhook.outbox where attempts <> 1 and ` + isGood); n != 0 {
		t.Errorf("%s: %d of them were attempted more than once", what, n)
	}
}
