package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// setCommand is `webhooks set`: the settings of a channel, or those of all.
var setCommand = command{
	name: "set", group: groupSet, role: adminRole,
	arguments: []argument{{name: "CHANNEL", choices: channelNames, optional: true}},
	about:     "change the settings of a channel, or those of all channels",
	text: "What is not named stays as it is. It takes effect without a restart. A URL or token with a dash (-) is read from standard input, " +
		"where neither other users nor the shell's history see it.",
	exits: "1 when the database refuses a value",
	examples: []string{
		"where contacts go, and turn them on: webhooks set contacts --url https://receiver.example.com/contacts --enabled",
		"the bearer token of all channels, from a file: webhooks set --auth bearer --token - </run/secrets/webhook-token",
	},
	flags: func(f *flags) action {
		s := &settingFlags{f: f}
		s.define()
		yes := f.Bool("yes", false, "do not ask whether another host than before may get the token")
		do := f.admins()
		return func(_, stop context.Context, args []string) error {
			decide, err := s.change(strings.Join(args, ""))
			if err != nil {
				return err
			}
			return do(stop, func(a *store.Admin) error {
				err := saveSettings(stop, s, a, strings.Join(args, ""), decide)
				var other otherHost
				if !errors.As(err, &other) {
					return err
				}
				if err := s.judgeURL(stop, a); err != nil {
					return err
				}
				if err := f.confirmOr(stop, other.Error()+" Change it?", *yes, fmt.Sprintf("set: %s Nothing was changed: add --yes, or change the token first", other)); err != nil {
					return err
				}
				s.tokenTo = string(other)
				return saveSettings(stop, s, a, strings.Join(args, ""), decide)
			})
		}
	},
}

// settingFlags are the flags of `webhooks set`.
type settingFlags struct {
	f           *flags
	enabled     *bool
	url         *string
	statuses    []int
	inFlight    *int
	perSecond   *int // 0: no limit
	traceparent *bool
	auth        *string
	token       *string
	baseURL     *string
	tokenTo     string // the host that a person has confirmed
}

// switchKind is the kind of a setting that is on or off.
const switchKind = "on|off"

// ofChannel and ofAll are the flags with and without a channel.
var (
	ofChannel = []string{"url", "enabled", "accept-status", "max-in-flight", "max-per-second", "send-traceparent"}
	ofAll     = []string{"auth", "token", "document-base-url"}
)

func (s *settingFlags) define() {
	f := s.f
	f.setting("url", "url", "where its events are sent; \"\" for none", keep(&s.url))
	f.setting("enabled", switchKind, "deliver its events", func(text string) error {
		on, err := parseSwitch(text)
		s.enabled = &on
		return err
	})
	f.Lookup("enabled").NoOptDefVal = "true"
	f.setting("send-traceparent", switchKind, "send the header of W3C Trace Context, where the application has passed one", func(text string) error {
		on, err := parseSwitch(text)
		s.traceparent = &on
		return err
	})
	f.Lookup("send-traceparent").NoOptDefVal = "true"
	f.setting("accept-status", "statuses", "the answers that count as delivered: 200,201,204", func(text string) error {
		var wrong string
		if s.statuses, wrong = admin.ParseStatuses(text); wrong != "" {
			return errors.New(wrong)
		}
		return nil
	})
	f.setting("max-in-flight", "n", "how many are sent at once, by each worker", whole(&s.inFlight))
	f.setting("max-per-second", "n", "how many begin in any second, by all workers together; 0: no limit", whole(&s.perSecond))
	f.setting("auth", "word", "of all channels: none or bearer", func(text string) error {
		s.auth = &text
		if words := []string{"none", "bearer"}; !slices.Contains(words, text) {
			return fmt.Errorf("unknown auth%s", expectedOr(text, words))
		}
		return nil
	})
	f.offer("auth", []string{"none", "bearer"})
	f.setting("token", "token", "of all channels: the bearer token", keep(&s.token))
	f.setting("document-base-url", "url", "of the links in documents; \"\" for none", keep(&s.baseURL))
}

func keep(to **string) func(string) error {
	return func(text string) error { *to = &text; return nil }
}

func whole(to **int) func(string) error {
	return func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("%s is no whole number", quoted(text))
		}
		*to = &n
		return nil
	}
}

func parseSwitch(text string) (on bool, err error) {
	switch strings.ToLower(text) {
	case "on", "yes", "true", "1":
		return true, nil
	case "off", "no", "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither on nor off", quoted(text))
}

// change is what the flags change, over the settings as they are.
func (s *settingFlags) change(channel string) (func(admin.Settings) (admin.SettingsChange, error), error) {
	mine, others, where := ofChannel, ofAll, "of all channels: leave out CHANNEL"
	if channel == "" {
		mine, others, where = ofAll, ofChannel, "of a channel: webhooks set CHANNEL …"
	}
	for _, name := range others {
		if s.f.Changed(name) {
			return nil, usagef("set: --%s is a setting %s", name, where)
		}
	}
	if !slices.ContainsFunc(mine, s.f.Changed) {
		return nil, usagef("set: nothing to set, expected one of --%s", strings.Join(mine, ", --"))
	}
	if err := s.readStdin(); err != nil {
		return nil, err
	}
	if channel == "" {
		return s.all, nil
	}
	return func(now admin.Settings) (admin.SettingsChange, error) { return s.channel(now, channel) }, nil
}

// readStdin replaces the dash of one setting.
func (s *settingFlags) readStdin() error {
	read := 0
	for _, text := range []*string{s.url, s.token} {
		if text == nil || *text != "-" {
			continue
		}
		line, err := io.ReadAll(io.LimitReader(s.f.p.Stdin, 64<<10))
		if err != nil {
			return fmt.Errorf("set: read standard input: %w", err)
		}
		if *text = strings.TrimSpace(string(line)); *text == "" {
			return usagef("set: standard input is empty")
		}
		read++
	}
	if read > 1 {
		return usagef("set: standard input has one value only")
	}
	return nil
}

func (s *settingFlags) channel(now admin.Settings, name string) (change admin.SettingsChange, err error) {
	at := slices.IndexFunc(now.Channels, func(c admin.ChannelSettings) bool { return c.Name == name })
	if at < 0 {
		return change, fmt.Errorf("channel %s is not in webhook.channels", name)
	}
	c := now.Channels[at]
	if s.url != nil {
		c.URL, _ = admin.RepairURL(*s.url)
	}
	set(&c.Enabled, s.enabled)
	set(&c.MaxInFlight, s.inFlight)
	set(&c.MaxPerSecond, s.perSecond)
	set(&c.SendTraceparent, s.traceparent)
	if s.statuses != nil {
		c.AcceptStatuses = s.statuses
	}
	if c.Enabled && c.URL == "" {
		return change, usagef("set: %s has no URL, so it cannot be on: add --url, or --enabled=false", name)
	}
	if host := admin.TokenMovesTo(now, c); host != s.tokenTo {
		return change, otherHost(host)
	}
	change.Channels = []admin.ChannelSettings{c}
	return change, nil
}

// otherHost is the error of a URL by which a token would go to another host than before: a typing error must not
// give it away.
type otherHost string

func (h otherHost) Error() string {
	return fmt.Sprintf("The bearer token would be sent to %s, which has not got it before.", visible(string(h)))
}

// judgeURL returns why the URL cannot be called: that comes before who would get the token.
func (s *settingFlags) judgeURL(ctx context.Context, a *store.Admin) error {
	text, _ := admin.RepairURL(*s.url)
	problems, err := a.URLProblems(ctx, []string{text})
	switch {
	case err != nil:
		return fmt.Errorf("set: %w", err)
	case problems[0] != "":
		return fmt.Errorf("set: %s; nothing was changed", problems[0])
	}
	return nil
}

func set[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}

func (s *settingFlags) all(now admin.Settings) (change admin.SettingsChange, err error) {
	if s.token != nil {
		token, _ := admin.RepairToken(*s.token)
		if token == "" {
			return change, usagef("set: the token is empty; to send none: webhooks set --auth none")
		}
		change.Token = &token
	}
	change.Auth, change.DocumentBaseURL = s.auth, s.baseURL
	if s.auth != nil && *s.auth == "bearer" && s.token == nil && !now.TokenSet {
		return change, usagef("set: --auth bearer needs a token, and none is set: add --token -")
	}
	return change, nil
}

func saveSettings(ctx context.Context, s *settingFlags, a *store.Admin, channel string, decide func(admin.Settings) (admin.SettingsChange, error)) error {
	_, err := a.ChangeSettings(ctx, localUser(), decide)
	var refused *admin.SettingRefused
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("set: %s is %s", refused.Column, refused.Words)
	case errors.As(err, new(usageError)), errors.As(err, new(otherHost)):
		return err
	case err != nil:
		return fmt.Errorf("set: %w", err)
	}
	now, err := a.Settings(ctx)
	if err != nil {
		return fmt.Errorf("set: it is saved; read it again: %w", err)
	}
	if channel == "" {
		return printGeneral(s.f.p.Stdout, now)
	}
	facts, err := a.ChannelFacts(ctx)
	if err != nil {
		return fmt.Errorf("set: it is saved; read it again: %w", err)
	}
	return s.printChannel(s.f.p.Stdout, now, channel, facts[channel].Problem)
}

func printGeneral(w io.Writer, now admin.Settings) error {
	auth := now.Auth
	if auth == "bearer" {
		auth = "bearer, the token is set"
	}
	base := now.DocumentBaseURL
	if base == "" {
		base = "not set: documents wait"
	}
	return writeLine(w, "auth: %s\ndocument base URL: %s\nOffline Mode: %s", auth, base, onOff(now.OfflineMode))
}

// printChannel shows a channel, and what was set of it beyond that, without the path of its URL, which may be a key.
func (s *settingFlags) printChannel(w io.Writer, now admin.Settings, channel, problem string) error {
	for _, c := range now.Channels {
		if c.Name != channel {
			continue
		}
		where, limit := "no URL", "no limit per second"
		if c.URL != "" {
			where = admin.HostOfURL(c.URL)
		}
		if c.MaxPerSecond > 0 {
			limit = fmt.Sprintf("%d per second", c.MaxPerSecond)
		}
		fmt.Fprintf(w, "%s: %s, %s, %d in flight, %s\n", c.Name, onOff(c.Enabled), where, c.MaxInFlight, limit)
		if s.statuses != nil {
			fmt.Fprintf(w, "Delivered is what is answered with %s.\n", orList(strings.Fields(strings.Trim(fmt.Sprint(c.AcceptStatuses), "[]"))))
		}
		switch {
		case c.SendTraceparent:
			fmt.Fprintln(w, "The header traceparent is sent, where the application has passed one.")
		case s.traceparent != nil:
			fmt.Fprintln(w, "The header traceparent is not sent.")
		}
		if c.Enabled && c.URL != "" && now.Auth == "bearer" {
			fmt.Fprintln(w, "The bearer token is sent there.")
		}
		if problem != "" && c.Enabled {
			fmt.Fprintf(w, "! %s waits: %s\n", c.Name, inCommands(problem))
		}
	}
	return nil
}
