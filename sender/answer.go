package sender

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// errHeadTooLarge ends the reading of an answer's head.
var errHeadTooLarge = errors.New("the answer's headers are too large")

// posted is what ReadResponse needs to know of the request.
var posted = &http.Request{Method: http.MethodPost}

// answer reads the head of the final answer. Interim ones are skipped, as many as
// fit into maxHeader; 101 is final, since nothing follows it.
func (c *conn) answer() (*http.Response, error) {
	c.headRest = maxHeader
	defer func() { c.headRest = -1 }()
	for {
		answer, err := http.ReadResponse(c.in, posted)
		if err != nil && c.headRest == 0 {
			return nil, errHeadTooLarge
		}
		if err != nil {
			return nil, err
		}
		if code := answer.StatusCode; code/100 != 1 || code == http.StatusSwitchingProtocols {
			return answer, nil
		}
	}
}

// keepFor is how long the connection may stay idle after an answer that was read
// in full; 0 means not at all. A receiver that announces its own limit gets half
// of it, so that no request meets a connection that is just being closed.
func keepFor(answer *http.Response) time.Duration {
	if answer.Close || answer.StatusCode == http.StatusSwitchingProtocols {
		return 0
	}
	keep := keepIdle
	for _, header := range answer.Header["Keep-Alive"] {
		for field := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			n, err := strconv.Atoi(strings.Trim(value, `" `))
			switch {
			case err != nil:
			case strings.EqualFold(name, "timeout"):
				keep = min(keep, time.Duration(min(max(n, 0), 60))*time.Second/2)
			case strings.EqualFold(name, "max") && n <= 0:
				keep = 0
			}
		}
	}
	return keep
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads the header of that name (RFC 9110, section 10.2.3: seconds or
// a date) on the statuses that mean "not now". 0 means that there is none.
func retryAfter(answer *http.Response, now time.Time) time.Duration {
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := strings.TrimSpace(answer.Header.Get("Retry-After"))
	if digits := strings.Trim(text, "0123456789") == "" && text != ""; digits {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil { // more than fits
			return maxRetryAfter
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
