package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// checkedChannel is what is known of a channel. A role that sees no URL has neither URL nor token.
type checkedChannel struct {
	Name, URL, Token string
	Enabled, Offline bool
	AtLeastOnce      bool `db:"at_least_once"`
	Problem          *string
	FailingSince     *time.Time `db:"failing_since"`
	PausedUntil      *time.Time `db:"paused_until"`
	LookedAt         *time.Time `db:"looked_at"`
	LookedBy         string     `db:"looked_by"`
	LookFailure      string     `db:"look_failure"`
	LookProblem      string     `db:"look_problem"`
	CertificateEnds  *time.Time `db:"certificate_ends"`
}

// certificateSoon is how long before its end a certificate is named.
const certificateSoon = 14 * 24 * time.Hour

// channels judges each channel, and connects to the endpoints of those that are on where their URLs may be read.
func (d *doctor) channels(ctx context.Context, cfg *workerConfig, seesURLs bool) {
	urls := `'' as url, '' as token, st.problem`
	if seesURLs {
		urls = `coalesce(c.url, '') as url, case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end as token,
		       webhook.channel_problem(c, s) as problem`
	}
	var all []checkedChannel
	err := d.db.SelectContext(ctx, &all, `
		select c.name, c.enabled, c.at_least_once, s.offline_mode as offline, `+urls+`,
		       e.failing_since, g.paused_until, e.looked_at, coalesce(e.looked_by, '') as looked_by,
		       coalesce(e.look_failure, '') as look_failure, coalesce(e.look_problem, '') as look_problem, e.certificate_ends
		  from webhook.channels c
		 cross join webhook.settings s
		  join webhook.endpoints e on e.channel = c.name
		  join webhook.pacing g on g.channel = c.name
		  `+map[bool]string{false: `join webhook.status st on st.channel = c.name`}[seesURLs]+`
		 order by c.position`)
	if err != nil {
		d.bad("channels", "%v", err)
		return
	}
	s := newSender(cfg)
	for _, c := range all {
		switch {
		case !c.Enabled:
			d.ok(c.Name, "off")
		case c.Problem != nil:
			d.bad(c.Name, "on, but cannot be called: %s", *c.Problem)
		case !seesURLs:
			d.asTheWorkerSees(ctx, c)
		default:
			d.endpoint(ctx, s, c, cfg)
		}
		if c.Enabled {
			d.deliveries(c)
		}
	}
	if len(all) > 0 && all[0].Offline {
		d.warn("Offline Mode", "it is on: nothing is delivered")
		d.fix("webhooks offline off")
	}
}

// endpoint connects to the endpoint of a channel.
func (d *doctor) endpoint(ctx context.Context, s *sender.Sender, c checkedChannel, cfg *workerConfig) {
	token, _ := store.OpenToken(cfg.keys, c.Token) // secrets says what is wrong with it
	switch seen := s.Look(ctx, c.URL, token); {
	case seen.Shortage != "":
		d.unknown(c.Name, "its endpoint was not tried: %s", seen.Shortage)
	case seen.Failure != "":
		d.bad(c.Name, "%s", seen.Problem)
		d.fix("%s", strings.TrimSpace(d.hint(ctx, string(seen.Failure))+" To change the URL: webhooks set "+c.Name+" --url https://…"))
	case c.LookProblem != "":
		d.bad(c.Name, "its endpoint can be reached from here, and could not be from the worker %s at %s: %s", c.LookedBy, when(c.LookedAt), c.LookProblem)
		d.fix("%s", cmp.Or(d.hint(ctx, c.LookFailure), "compare the two machines: name servers, routes, firewall, certificate authorities"))
	default:
		d.ok(c.Name, "its endpoint can be reached")
		d.certificate(c.Name, seen.Ends)
	}
	if c.Token != "" && strings.HasPrefix(strings.ToLower(c.URL), "http://") {
		d.warn(c.Name, "its URL begins with http://: the token is sent unencrypted, and anyone on the way can read it")
		d.fix("webhooks set %s --url https://…", c.Name)
	}
}

func (d *doctor) certificate(channel string, ends time.Time) {
	if left := time.Until(ends); !ends.IsZero() && left < certificateSoon {
		d.warn(channel, "the certificate of its endpoint ends in %d days, on %s", int(left.Hours()/24), ends.UTC().Format(time.DateOnly))
		d.fix("have the receiver renew it: from then on nothing can be delivered there")
	}
}

// asTheWorkerSees is for a role that may not read the URL.
func (d *doctor) asTheWorkerSees(ctx context.Context, c checkedChannel) {
	switch {
	case c.LookedAt == nil:
		d.ok(c.Name, "on; its endpoint is not tried, this role may not read its URL")
	case c.LookProblem != "":
		d.bad(c.Name, "the worker %s could not reach its endpoint at %s: %s", c.LookedBy, when(c.LookedAt), c.LookProblem)
		if hint := d.hint(ctx, c.LookFailure); hint != "" {
			d.fix("%s", hint)
		}
	default:
		d.ok(c.Name, "on; the worker %s reached its endpoint at %s (it is not tried: this role may not read its URL)", c.LookedBy, when(c.LookedAt))
		if c.CertificateEnds != nil {
			d.certificate(c.Name, *c.CertificateEnds)
		}
	}
}

// deliveries judges a channel by what was delivered.
func (d *doctor) deliveries(c checkedChannel) {
	if c.FailingSince != nil {
		d.bad(c.Name, "no delivery succeeded since %s", when(c.FailingSince))
		d.fix("webhooks list --channel %s --since %s", c.Name, c.FailingSince.UTC().Format(time.RFC3339))
	}
	if c.PausedUntil != nil && c.PausedUntil.After(time.Now()) {
		d.warn(c.Name, "its receiver asked for a pause (Retry-After), until %s", when(c.PausedUntil))
		d.fix("if it repeats: webhooks set %s --max-per-second N", c.Name)
	}
}

// hint is what a failure means and what to do about it; "" where it cannot be read.
func (d *doctor) hint(ctx context.Context, failure string) (hint string) {
	if err := d.db.GetContext(ctx, &hint, `select coalesce(webhook.hint($1), '')`, failure); err != nil {
		return ""
	}
	return hint
}

// events are those that wait after a failure, and those that failed.
func (d *doctor) events(ctx context.Context) {
	var all []struct {
		Channel     string
		AtLeastOnce bool `db:"at_least_once"`
		Failure     string
		Events      int64
		Hint        string
	}
	err := d.db.SelectContext(ctx, &all, `
		select p.channel, c.at_least_once, coalesce(p.failure, '') as failure, count(*) as events, coalesce(min(p.hint), '') as hint
		  from webhook.problems p join webhook.channels c on c.name = p.channel
		 where p.kind = 'event'
		 group by p.channel, c.position, c.at_least_once, p.failure order by c.position, p.failure`)
	if err != nil {
		d.bad("events", "%v", err)
		return
	}
	for _, e := range all {
		failure := ""
		if e.Failure != "" {
			failure = " --failure " + e.Failure
		}
		count := fmt.Sprintf("%s %s", plus(e.Events, e.Events == 10000), plural(e.Events, "event", "events"))
		if e.AtLeastOnce {
			d.warn(e.Channel, "%s not delivered yet, tried again every ten seconds (%s): %s", count, cmp.Or(e.Failure, "no class"), e.Hint)
			d.fix("webhooks list --channel %s --status pending%s", e.Channel, failure)
			continue
		}
		d.warn(e.Channel, "%s of the last seven days failed, and not tried again (%s): %s", count, cmp.Or(e.Failure, "no class"), e.Hint)
		d.fix("to send them again: webhooks resend --channel %s --status failed%s --since 7d", e.Channel, failure)
	}
}
