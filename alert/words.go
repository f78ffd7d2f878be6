package alert

import (
	"fmt"
	"strconv"
	"strings"
)

// text is the alert in words. All of it is this program's own: names of channels and workers, classes, hosts, times.
func (a Alert) text() string {
	from := "RecordEngine webhooks"
	if a.Environment != "" {
		from += " (" + a.Environment + ")"
	}
	return from + ": " + strings.Join(a.sentences(), " ")
}

func (a Alert) sentences() []string {
	switch a.Kind {
	case ChannelFailing:
		return with(fmt.Sprintf("channel %s fails since %s%s.", a.Channel, rfc3339(a.Since), a.reason()),
			fmt.Sprintf("%s failed or wait%s.", capital(a.events()), a.example()), a.Hint)
	case ChannelRecovered:
		return with(fmt.Sprintf("channel %s has recovered: it delivers since %s, after it had failed since %s.", a.Channel, rfc3339(a.Until), rfc3339(a.Since)),
			a.waiting())
	case EventsLost:
		return with(fmt.Sprintf("%s of channel %s failed since %s%s%s.", a.events(), a.Channel, rfc3339(a.Since), a.reason(), a.example()),
			"They are not sent again by themselves.", a.Hint)
	case WorkerMissing:
		what, each := "worker "+a.Worker+" was", "It"
		if a.Events > 1 {
			what, each = fmt.Sprintf("%s workers, the last of them %s, were", a.count(), a.Worker), "Each"
		}
		return with(fmt.Sprintf("%s not seen since %s.", what, rfc3339(a.Until)),
			fmt.Sprintf("%d %s running.", a.Workers, oneOr(int64(a.Workers), "is", "are")), each+" was killed, hangs, or cannot reach the database: read its log.")
	case NoWorker:
		seen := ""
		if a.Worker != "" {
			seen = fmt.Sprintf(": the last one, %s, was seen at %s", a.Worker, rfc3339(a.Since))
		}
		return with("no worker is running"+seen+".", a.waiting(), "Start one: webhooks run.")
	case WorkerBack:
		return with(fmt.Sprintf("a worker is running again; there was none since %s.", rfc3339(a.Since)))
	}
	return with(string(a.Kind))
}

func (a Alert) waiting() string {
	return capital(a.events()) + " " + oneOr(a.Events, "waits", "wait") + "."
}

func oneOr(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// with leaves out what is empty.
func with(sentences ...string) (all []string) {
	for _, s := range sentences {
		if s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (a Alert) count() string {
	if a.Events > mostCounted {
		return "more than " + strconv.Itoa(mostCounted)
	}
	return strconv.FormatInt(a.Events, 10)
}

func (a Alert) events() string {
	if a.Events == 1 {
		return "1 event"
	}
	return a.count() + " events"
}

// capital is a text as a sentence begins.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func (a Alert) example() string {
	if a.EventID == 0 {
		return ""
	}
	return fmt.Sprintf(", for example event %d", a.EventID)
}

// reason is why, as far as the class can say it.
func (a Alert) reason() string {
	if a.Failure == "" {
		return ""
	}
	why := ", " + a.Failure
	if a.HTTPStatus != 0 {
		why += fmt.Sprintf(" (HTTP %d)", a.HTTPStatus)
	}
	if a.Host != "" {
		why += " at " + a.Host
	}
	return why
}
