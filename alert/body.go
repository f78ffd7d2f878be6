package alert

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"time"
)

// mostCounted is up to which number events are counted.
const mostCounted = 10000

// body is what is posted: docs/alerting.md. No data of an event, no answer of a receiver, of a URL the host only.
type body struct {
	Text        string `json:"text"` // first: what people read where only this field is shown
	Kind        Kind   `json:"kind"`
	ID          string `json:"id"` // the webhook-id header
	Environment string `json:"environment,omitempty"`
	Channel     string `json:"channel,omitempty"`
	Host        string `json:"host,omitempty"`
	Failure     string `json:"failure,omitempty"`
	HTTPStatus  int    `json:"http_status,omitempty"`
	Hint        string `json:"hint,omitempty"`
	Since       string `json:"since"`
	Until       string `json:"until"`
	Count       *int64 `json:"count,omitempty"`
	CountMore   bool   `json:"count_more,omitempty"` // there are more than were counted
	EventID     int64  `json:"event_id,omitempty"`
	Worker      string `json:"worker,omitempty"`
	Workers     *int   `json:"workers,omitempty"` // seen in the last minute
	Link        string `json:"link,omitempty"`
}

func (a Alert) webhookID() string { return a.InstanceID + "-alert-" + strconv.FormatInt(a.ID, 10) }

// body returns the JSON. page is where people find the page, or "".
func (a Alert) body(page string) []byte {
	b := body{
		Kind: a.Kind, ID: a.webhookID(), Environment: a.Environment, Channel: a.Channel, Host: a.Host, Failure: a.Failure, HTTPStatus: a.HTTPStatus,
		Hint: a.Hint, Since: rfc3339(a.Since), Until: rfc3339(a.Until), EventID: a.EventID, Worker: a.Worker, Link: a.link(page),
	}
	if a.Kind != WorkerBack {
		counted := min(a.Events, mostCounted)
		b.Count, b.CountMore = &counted, a.Events > mostCounted
	}
	if a.Channel == "" {
		b.Workers = &a.Workers
	}
	b.Text = a.text()
	if b.Link != "" {
		b.Text += " " + b.Link
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(b) // cannot fail: strings and numbers
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// link is the page where the alert can be looked into.
func (a Alert) link(page string) string {
	switch {
	case page == "":
		return ""
	case a.Channel == "":
		return page + "/overview"
	case a.Kind == EventsLost:
		return page + "/deliveries?" + url.Values{"channel": {a.Channel}, "status": {"failed"}}.Encode()
	case a.EventID != 0:
		return page + "/deliveries/" + strconv.FormatInt(a.EventID, 10)
	}
	return page + "/deliveries?" + url.Values{"channel": {a.Channel}}.Encode()
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }
