package admin

import (
	"fmt"
	"slices"
	"time"
)

// moment is an entry of what happened to an event.
type moment struct {
	Tone     string // of its icon
	What     string
	Person   string // who did it; "": the program
	Detail   string // an error, as it was recorded, or a note
	Received string // whether the receiver had the event then, in words
	At       time.Time
	Until    *time.Time // of a run of attempts: when the last of them ended
}

// timelineOf is what happened to an event, the newest first: attempts that left it waiting, the outcome in
// its row, what people did, and the outcomes that these have replaced.
func timelineOf(d DeliveryDetail) []moment {
	var all []moment
	if d.Leased && d.ClaimedAt != nil {
		all = append(all, moment{Tone: "wait", What: "Being sent by worker " + visible(d.ClaimedBy), At: *d.ClaimedAt})
	}
	if m, ok := outcomeOf(d); ok {
		all = append(all, m.without(d))
	}
	for _, run := range d.Runs {
		all = append(all, run.moment().without(d))
	}
	for _, i := range d.Interventions {
		all = append(all, i.moment())
		if m, ok := i.before(); ok {
			all = append(all, m)
		}
	}
	if d.Occurred.Time != nil {
		all = append(all, moment{Tone: "off", What: happened(d), At: *d.Occurred.Time})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return b.end().Compare(a.end()) })
	return all
}

func happened(d DeliveryDetail) string {
	if d.IsTest {
		return "Test event written"
	}
	return "Happened in the application"
}

func (m moment) end() time.Time {
	if m.Until != nil {
		return *m.Until
	}
	return m.At
}

// without is the entry without the error that "Where it is" says already.
func (m moment) without(d DeliveryDetail) moment {
	if d.saysWrongData() && m.Detail == d.Error {
		m.Detail = ""
	}
	return m
}

// outcomeOf is how an event finished, except where that is an entry already: what a person did.
func outcomeOf(d DeliveryDetail) (moment, bool) {
	if d.Finished == nil || d.Status == "sent" && !d.Claimed && len(d.Interventions) > 0 || d.Status == "cancelled" && len(d.Interventions) > 0 {
		return moment{}, false
	}
	return endedAt(*d.Finished, d.Status, d.HTTPStatus, d.Failure, d.Error, d.Received), true
}

// finished is how an event finished, in words.
func finished(status string, httpStatus int, failure string) moment {
	s := statusOf(status)
	m := moment{Tone: s.Tone, What: s.Word}
	if answer := answerWords(httpStatus, failure); answer != "" {
		m.What += ": " + answer
	}
	if status == "skipped" {
		m.Detail = "The channel was off."
	}
	return m
}

func (r AttemptRun) moment() moment {
	m := moment{Tone: "bad", What: answerWords(r.HTTPStatus, r.Failure), Detail: r.Error, Received: receivedWords(r.Received), At: r.FirstAt}
	if r.Attempts > 1 {
		m.What, m.Until = fmt.Sprintf("%d attempts: %s", r.Attempts, m.What), &r.LastAt
	} else {
		m.What = "Attempt: " + m.What
	}
	return m
}

func (i Intervention) moment() moment {
	words := map[string]moment{
		"retry":          {Tone: "wait", What: "Resent"},
		"cancel":         {Tone: "off", What: "Cancelled"},
		"discard":        {Tone: "off", What: "Discarded"},
		"mark_delivered": {Tone: "ok", What: "Marked as delivered"},
	}
	m, known := words[i.Action]
	if !known {
		m = moment{Tone: "off", What: visible(i.Action)}
	}
	m.Person, m.At, m.Detail = i.Actor, i.At, i.Note
	return m
}

// endedAt is how an event finished, with its time and, of a failure, its words.
func endedAt(at time.Time, status string, httpStatus int, failure, words, received string) moment {
	m := finished(status, httpStatus, failure)
	m.At = at
	if words != "" {
		m.Detail = words
	}
	if status == "failed" {
		m.Received = receivedWords(received)
	}
	return m
}

// before is the outcome that an action has replaced, unless it is an entry of its own: of an attempt that
// left the event waiting, or of another action.
func (i Intervention) before() (moment, bool) {
	if i.WasFinished == nil || i.WasStatus == "cancelled" || i.WasStatus == "sent" && i.WasHTTPStatus == 0 {
		return moment{}, false
	}
	return endedAt(*i.WasFinished, i.WasStatus, i.WasHTTPStatus, i.WasFailure, i.WasError, i.WasReceived), true
}
