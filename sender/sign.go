package sender

import (
	"strconv"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// finish ends the head of a request: with the signatures of the body that follows, as of this instant,
// if there are keys. It is called when the connection is there and the request is about to be written:
// an attempt may have waited for half a minute by then, and a receiver accepts five.
func (e *endpoint) finish(head []byte, req outbox.Request, at time.Time) []byte {
	if len(e.keys) > 0 {
		seconds := at.Unix()
		head = strconv.AppendInt(append(head, "webhook-timestamp: "...), seconds, 10)
		head = append(head, "\r\nwebhook-signature:"...)
		for _, key := range e.keys {
			head = key.Append(append(head, ' '), req.WebhookID, seconds, req.Body)
		}
		head = append(head, "\r\n"...)
	}
	return append(head, "\r\n"...)
}
