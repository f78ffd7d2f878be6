package admin

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// attention is something that needs attention: what it is, what it means, what to do, and where.
type attention struct {
	Tone             string // bad: something is lost or not delivered; wait: it is held, or will be bad
	Title, Means, Do string
	Links            []link
}

// link leads to a page of this site; To is without the base path.
type link struct{ Text, To string }

// The worker's row in the database is refreshed every ten seconds.
const workerAbsentAfter = time.Minute

// A certificate is renewed by then where that happens by itself, usually 30 days before.
const certificateNotice = 21 * 24 * time.Hour

// The clean-up runs once a day, and shortly after the start of a worker.
const (
	cleanUpOverdue    = 48 * time.Hour
	cleanUpAfterStart = time.Hour
)

// attentionOf is what needs attention, the worst first.
func attentionOf(o Overview) (all []attention) {
	for _, look := range []func(Overview) []attention{
		noWorker, offline, foreignWorkers, absentWorkers, misconfigured, failing, lookProblems, paused, certificates, lost, unrenderable, cleanUp,
	} {
		all = append(all, look(o)...)
	}
	return all
}

func noWorker(o Overview) []attention {
	if len(o.running()) > 0 {
		return nil
	}
	a := attention{Tone: "bad", Title: "No worker is running", Means: "Nothing is delivered. " + o.waits(),
		Do: "Start one: webhooks run. If one should be running, read its log.", Links: o.waitingLinks()}
	if o.WorkerSeen != nil {
		a.Title = "No worker has been seen for " + length(o.At.Sub(*o.WorkerSeen))
	}
	return []attention{a}
}

func offline(o Overview) []attention {
	if !o.Offline {
		return nil
	}
	a := attention{Tone: "wait", Title: "Offline Mode is on", Means: "Nothing is delivered on any channel. " + o.waits(),
		Do: "Turn it off when deliveries may go out again.", Links: []link{{"General", "/settings/general"}}}
	if o.OfflineSince != nil {
		a.Title += " since " + clock(*o.OfflineSince, o.At)
		a.Means = "Turned on by " + middle(o.OfflineBy, 60) + ". " + a.Means
	}
	return []attention{a}
}

// foreignWorkers run for another environment, and deliver nothing here.
func foreignWorkers(o Overview) (all []attention) {
	names := map[string][]string{}
	for _, w := range o.running() {
		if w.Environment != o.Environment {
			names[w.Environment] = append(names[w.Environment], w.Name)
		}
	}
	for _, other := range slices.Sorted(maps.Keys(names)) {
		all = append(all, attention{Tone: "bad", Title: workers(names[other], " delivers nothing", " deliver nothing"),
			Means: "Started " + environment("for the environment ", other, "for no environment") + ", while this database belongs to " +
				environment("the environment ", o.Environment, "none") + ".",
			Do: "If this is a copy of another database, leave it so. Otherwise restart it " +
				environment("with WEBHOOK_ENVIRONMENT=", o.Environment, "without WEBHOOK_ENVIRONMENT") + ".",
			Links: o.waitingLinks()})
	}
	return all
}

func environment(before, name, none string) string {
	if name == "" {
		return none
	}
	return before + middle(name, 60)
}

// absentWorkers were seen within the hour and do not run any more, while others do.
func absentWorkers(o Overview) []attention {
	var names []string
	latest := o.At.Add(-24 * time.Hour)
	for _, w := range o.Workers {
		if !o.runs(w) {
			names = append(names, w.Name)
			if w.Seen.After(latest) {
				latest = w.Seen
			}
		}
	}
	if len(names) == 0 || len(o.running()) == 0 {
		return nil
	}
	return []attention{{Tone: "wait", Title: workers(names, " has", " have") + " not been seen for " + length(o.At.Sub(latest)),
		Means: "Killed, hanging, or without the database. " + workersRun(len(o.running())),
		Do:    "Read its log. This goes an hour after it was last seen.", Links: o.waitingLinks()}}
}

func workersRun(n int) string {
	if n == 1 {
		return "One worker is running."
	}
	return fmt.Sprintf("%d workers are running.", n)
}

// workers names one worker, or counts them.
func workers(names []string, one, many string) string {
	if len(names) == 1 {
		return "The worker " + middle(names[0], 60) + one
	}
	return fmt.Sprintf("%d workers", len(names)) + many
}

func misconfigured(o Overview) (all []attention) {
	names := map[string][]string{}
	for _, c := range o.Channels {
		if !c.Enabled || c.Problem == "" {
			continue
		}
		problem := pageWords(c.Problem)
		names[problem] = append(names[problem], c.Name)
	}
	for _, c := range o.Channels { // in their order
		problem := pageWords(c.Problem)
		held := names[problem]
		if len(held) == 0 {
			continue
		}
		delete(names, problem)
		all = append(all, attention{Tone: "wait", Title: titles(held) + verb(held, " is", " are") + " on but cannot be called",
			Means: sentence(problem) + " Events wait until this is fixed.", Do: "Change it in the settings.",
			Links: []link{settingsLink(held[0])}})
	}
	return all
}

// failing names together the channels whose newest failures are the same: one receiver often serves several.
func failing(o Overview) (all []attention) {
	fails := map[string][]OverviewChannel{}
	for _, c := range o.Channels {
		if c.Enabled && c.FailingSince != nil {
			fails[c.LastError] = append(fails[c.LastError], c)
		}
	}
	for _, c := range o.Channels { // in their order
		same := fails[c.LastError]
		delete(fails, c.LastError)
		if len(same) > 0 {
			all = append(all, failingTogether(same, o.At))
		}
	}
	return all
}

func failingTogether(same []OverviewChannel, now time.Time) attention {
	a := attention{Tone: "bad", Do: pageWords(same[0].LastHint)}
	if a.Do == "" {
		a.Do = "Look at what the receiver answered."
	}
	if said := same[0].LastError; said != "" {
		a.Means = "The newest failure: " + stopped(middle(said, 200))
	}
	var names []string
	since := *same[0].FailingSince
	for _, c := range same {
		names = append(names, c.Name)
		if c.FailingSince.Before(since) {
			since = *c.FailingSince
		}
		status := "failed"
		if c.AtLeastOnce {
			status = "pending" // it waits for its next attempt
		}
		a.Links = append(a.Links, deliveriesLink("Deliveries of "+channelTitle(c.Name), "channel", c.Name, "status", status))
	}
	a.Title = titles(names) + verb(names, " has", " have") + " been failing since " + clock(since, now)
	return a
}

// lookProblems are endpoints that would fail, as far as a worker can see without a request.
func lookProblems(o Overview) (all []attention) {
	for _, c := range o.Channels {
		if !c.Enabled || c.LookProblem == "" || c.FailingSince != nil || c.Problem != "" {
			continue
		}
		all = append(all, attention{Tone: "bad", Title: "The endpoint of " + channelTitle(c.Name) + " cannot be reached",
			Means: "A worker looked, and found: " + stopped(middle(c.LookProblem, 200)), Do: pageWords(c.LookHint), Links: []link{settingsLink(c.Name)}})
	}
	return all
}

func paused(o Overview) (all []attention) {
	for _, c := range o.Channels {
		if h := o.health(c); !c.Enabled || !h.paused(o.At) {
			continue
		}
		all = append(all, attention{Tone: "wait", Title: channelTitle(c.Name) + " is paused until " + clock(*c.PausedUntil, o.At),
			Means: "Its receiver asked for that, with Retry-After. What waits goes out then.",
			Do:    `If this happens often, set "Max per second" to the rate that the receiver allows.`, Links: []link{settingsLink(c.Name)}})
	}
	return all
}

func certificates(o Overview) (all []attention) {
	names := map[string][]string{}
	ending := func(c OverviewChannel) bool {
		return c.Enabled && c.CertificateEnds != nil && c.CertificateEnds.Sub(o.At) < certificateNotice
	}
	for _, c := range o.Channels {
		if ending(c) {
			names[c.Host] = append(names[c.Host], c.Name)
		}
	}
	for _, c := range o.Channels {
		on := names[c.Host]
		if !ending(c) || len(on) == 0 {
			continue
		}
		delete(names, c.Host) // said once
		a := attention{Tone: "wait", Title: "The certificate of " + middle(c.Host, 60) + " ends " + ago(o.At.Sub(*c.CertificateEnds)),
			Means: "On " + c.CertificateEnds.Local().Format("2 January 2006, 15:04 MST") + ". Nothing can be delivered to " + titles(on) + " from then on.",
			Do:    "Ask those who run that server to renew it.", Links: []link{settingsLink(on[0])}}
		if !c.CertificateEnds.After(o.At) {
			a.Tone, a.Title = "bad", "The certificate of "+middle(c.Host, 60)+" ended "+ago(o.At.Sub(*c.CertificateEnds))
		}
		all = append(all, a)
	}
	return all
}

func lost(o Overview) []attention {
	a := attention{Tone: "bad", Means: "In the last seven days. They were attempted once, and nothing sends them again by itself.",
		Do: "Find out why they failed, then resend those that are still wanted."}
	var all int64
	for _, c := range o.Channels {
		if c.Lost == 0 {
			continue
		}
		all += c.Lost
		a.Links = append(a.Links, deliveriesLink(channelTitle(c.Name)+": "+capped(c.Lost), "channel", c.Name, "status", "failed", "since", "7d"))
	}
	if all == 0 {
		return nil
	}
	a.Title = capped(all) + plural(all, " failed event was not resent", " failed events were not resent")
	return []attention{a}
}

func unrenderable(o Overview) (all []attention) {
	for _, c := range o.Channels {
		if c.Unrenderable == 0 {
			continue
		}
		all = append(all, attention{Tone: "bad",
			Title: capped(c.Unrenderable) + plural(c.Unrenderable, " document waits", " documents wait") + " because of an error in " + plural(c.Unrenderable, "its", "their") + " data",
			Means: "The payload cannot be built. Each names the field that is wrong.",
			Do:    "Have the field corrected; then it goes out by itself. If it is not wanted any more, cancel it.",
			Links: []link{deliveriesLink("These documents", "channel", c.Name, "status", "pending", "failure", "render")}})
	}
	return all
}

func cleanUp(o Overview) []attention {
	a := attention{Tone: "wait", Title: "No clean-up has come to its end yet",
		Means: "Old events are not deleted, and the database grows. Deliveries do not suffer.",
		Do:    `Search the workers' log for "clean-up".`}
	if o.CleanedUp != nil {
		a.Title = "The clean-up has not come to its end for " + length(o.At.Sub(*o.CleanedUp))
	}
	overdue := o.CleanedUp == nil || o.At.Sub(*o.CleanedUp) > cleanUpOverdue
	for _, w := range o.running() {
		if overdue && w.Environment == o.Environment && o.At.Sub(w.Started) > cleanUpAfterStart {
			return []attention{a}
		}
	}
	return nil
}

func (o Overview) runs(w OverviewWorker) bool { return o.At.Sub(w.Seen) < workerAbsentAfter }

func (o Overview) running() (all []OverviewWorker) {
	for _, w := range o.Workers {
		if o.runs(w) {
			all = append(all, w)
		}
	}
	return all
}

// waits says how many events wait, on all channels.
func (o Overview) waits() string {
	var all int64
	for _, c := range o.Channels {
		all += c.Waiting
	}
	switch {
	case o.Uncounted:
		return "How much waits is not known at the moment."
	case all == 0:
		return "Nothing waits at the moment."
	}
	return capped(all) + plural(all, " event waits.", " events wait.")
}

func (o Overview) waitingLinks() []link {
	return []link{deliveriesLink("What waits", "status", "pending")}
}

func settingsLink(channel string) link {
	return link{"Settings", "/settings/integrations/webhooks#" + channel}
}

// deliveriesLink leads to the deliveries of a filter: name, value, name, value …
func deliveriesLink(text string, filter ...string) link {
	query := ""
	for i := 0; i+1 < len(filter); i += 2 {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		query += separator + filter[i] + "=" + url.QueryEscape(filter[i+1])
	}
	return link{text, "/deliveries" + query}
}

// titles names channels: "Contacts and Folders".
func titles(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, channelTitle(name))
	}
	return listed(all)
}

func verb(names []string, one, many string) string { return plural(int64(len(names)), one, many) }

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string { return stopped(capital(text)) }

func capital(text string) string {
	if text == "" {
		return ""
	}
	if class, _, ok := strings.Cut(text, ":"); ok && (class == "dns" || class == "tls") { // an error of a worker
		return strings.ToUpper(class) + text[len(class):]
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func stopped(text string) string { return strings.TrimRight(text, ". ") + "." }
