package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// failureClass is a class of webhook.outbox.failure in words.
type failureClass struct{ Name, Word string }

// failureClasses are the classes in the order in which an attempt can meet them. What each means and what to
// do is webhook.hint.
var failureClasses = []failureClass{
	{"config", "Channel not configured"},
	{"render", "Payload cannot be built"},
	{"blocked_address", "Internal address, blocked"},
	{"dns", "Host name not found"},
	{"proxy", "Egress proxy failed"},
	{"refused", "Connection refused"},
	{"unreachable", "Address unreachable"},
	{"tls", "TLS or certificate problem"},
	{"timeout", "No answer in time"},
	{"connection_lost", "Connection lost"},
	{"bad_answer", "No valid HTTP answer"},
	{"redirect", "Redirected (3xx)"},
	{"not_counted", "Status does not count (2xx)"},
	{"rejected", "Rejected (4xx)"},
	{"rate_limited", "Too many calls (429)"},
	{"server_error", "Receiver's server error (5xx)"},
	{"interrupted", "Worker ended meanwhile"},
}

// FailureNames are the classes of failure, as webhook.outbox.failure has them.
func FailureNames() (names []string) {
	for _, c := range failureClasses {
		names = append(names, c.Name)
	}
	return names
}

// failureWord is a class in words. One that is not known here is its own word.
func failureWord(name string) string {
	for _, c := range failureClasses {
		if c.Name == name {
			return c.Word
		}
	}
	return strings.ReplaceAll(name, "_", " ")
}

// answerWords are what an attempt ended with: the status of the answer, or why there was none.
func answerWords(httpStatus int, failure string) string {
	switch {
	case httpStatus != 0 && http.StatusText(httpStatus) != "":
		return fmt.Sprintf("HTTP %d %s", httpStatus, http.StatusText(httpStatus))
	case httpStatus != 0:
		return fmt.Sprintf("HTTP %d", httpStatus)
	case failure != "":
		return failureWord(failure)
	}
	return ""
}

// receivedWords say whether the receiver has an event.
func receivedWords(received string) string {
	switch received {
	case "yes":
		return "Yes, the receiver has it."
	case "maybe":
		return "Maybe: it was sent, and whether it arrived is not known."
	case "no":
		return "No, the receiver does not have it."
	}
	return "Not sent yet."
}

// Where is webhook.explain in the words of the page. What is wrong with the data can be long: it is said once.
func (d DeliveryDetail) Where() string {
	text := d.Explain
	if d.saysWrongData() {
		i := strings.Index(text, d.wrongData()) + len(d.wrongData())
		text = text[:i] + strings.ReplaceAll(text[i:], d.wrongData(), "the same")
	}
	return pageWords(text)
}

// wrongData is why the payload could not be built at the newest attempt, as webhook.explain quotes it; "": it could.
func (d DeliveryDetail) wrongData() string {
	if d.Failure != "render" {
		return ""
	}
	return strings.TrimRight(d.Error, ".")
}

// saysWrongData reports whether Where says what is wrong with the data, so that the rest of the page need not.
func (d DeliveryDetail) saysWrongData() bool {
	return d.wrongData() != "" && strings.Contains(d.Explain, d.wrongData())
}

// WhatItMeans is webhook.hint for this event. The hints are those of every event: what they say of documents and of other
// events is said of the one that failed.
func (d DeliveryDetail) WhatItMeans() string {
	text := pageWords(d.Hint)
	if d.Status != "failed" || d.AtLeastOnce {
		return text
	}
	return attemptedOnce.Replace(text)
}

var attemptedOnce = strings.NewReplacer(
	"Documents are retried automatically, other events are not.", "It is not retried: press Resend once the receiver is well.",
	"Documents are retried automatically; before you send another event again, check the receiver.", "It is not retried: check the receiver before you press Resend.",
)

// firstSentence is the beginning of a hint, for a line of the list.
func firstSentence(text string) string {
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i+1]
	}
	return cutAtWord(text, 110)
}

// cutAtWord cuts a sentence at a space.
func cutAtWord(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	cut := string(runes[:most])
	if i := strings.LastIndexByte(cut, ' '); i > most/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}
