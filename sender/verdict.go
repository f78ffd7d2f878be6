package sender

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// verdict turns an answer into a Result. The status alone decides: a body that
// breaks or runs out of time changes nothing.
func verdict(req outbox.Request, to *endpoint, answer *http.Response, body body) outbox.Result {
	if answer.StatusCode < 100 {
		return outbox.Result{Failure: outbox.FailureBadAnswer, Received: outbox.ReceivedMaybe,
			Error: message(fmt.Sprintf("bad answer: %s returned %03d, which is no HTTP status; outcome unknown", to.target.origin, answer.StatusCode))}
	}
	result := outbox.Result{
		Received: outbox.ReceivedYes, Status: answer.StatusCode, Response: body.readable(answer, to.hidden),
		RetryAfter: retryAfter(answer, time.Now()),
	}
	if slices.Contains(req.Accept, answer.StatusCode) {
		return result
	}
	result.Failure, result.Received = classOf(answer.StatusCode)
	result.Error = message(uncounted(req.Channel, to, answer))
	return result
}

// classOf judges a status that the channel does not count. A receiver that answers
// with another 2xx has the event all the same; one that answers with an interim
// status has not said yet.
func classOf(code int) (outbox.Failure, outbox.Received) {
	switch {
	case code < 200:
		return outbox.FailureBadAnswer, outbox.ReceivedMaybe
	case code < 300:
		return outbox.FailureNotCounted, outbox.ReceivedYes
	case code < 400:
		return outbox.FailureRedirect, outbox.ReceivedNo
	case code == http.StatusTooManyRequests:
		return outbox.FailureRateLimited, outbox.ReceivedNo
	case code < 500:
		return outbox.FailureRejected, outbox.ReceivedNo
	}
	return outbox.FailureServerError, outbox.ReceivedNo
}

// uncounted says what a status that does not count means.
func uncounted(channel string, to *endpoint, answer *http.Response) string {
	from := statusLine(answer.StatusCode) + " from " + to.target.origin
	switch answer.StatusCode / 100 {
	case 1:
		return from + " is not a final answer; outcome unknown"
	case 2:
		return from + " is not counted as delivered; to count it: " + acceptSQL(channel, answer.StatusCode)
	case 3:
		return "redirect: " + from + destination(to, answer) + "; redirects are never followed, so set the channel's URL to where it should go"
	}
	return from
}

// statusLine names a status by the standard's reason, never by the receiver's.
func statusLine(code int) string {
	return strings.TrimSuffix(fmt.Sprintf("HTTP %d %s", code, http.StatusText(code)), " ")
}

// acceptSQL is the line that makes a channel count a status.
func acceptSQL(channel string, code int) string {
	return fmt.Sprintf("update webhook.channels set accept_status = accept_status || %d where name = '%s'",
		code, strings.ReplaceAll(channel, "'", "''"))
}

// destination shows scheme and host of a Location. Its path and query may hold
// a key as well as the channel's own URL.
func destination(from *endpoint, answer *http.Response) string {
	location := answer.Header.Get("Location")
	if location == "" {
		return " without a Location"
	}
	to, err := from.target.url.Parse(location)
	if err != nil || to.Host == "" {
		return " to a Location that is no web address"
	}
	return " to " + from.hidden.mask(originOf(to))
}
