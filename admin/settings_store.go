package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Settings are what the settings pages show and change.
type Settings struct {
	Channels        []ChannelSettings // in the document's order
	Auth            string            // none or bearer
	TokenSet        bool
	TokenSum        string // of the token, to see that it has changed; it never leaves the process
	OfflineMode     bool
	DocumentBaseURL string
	Updated         time.Time // when one of the four above was last changed
}

// ChannelSettings are those of one channel.
type ChannelSettings struct {
	Name            string
	URL             string
	Enabled         bool
	AcceptStatuses  []int
	MaxInFlight     int
	MaxPerSecond    int // 0: no limit
	SendTraceparent bool
}

func (c ChannelSettings) equal(other ChannelSettings) bool {
	return c.Name == other.Name && c.URL == other.URL && c.Enabled == other.Enabled && slices.Equal(c.AcceptStatuses, other.AcceptStatuses) &&
		c.MaxInFlight == other.MaxInFlight && c.MaxPerSecond == other.MaxPerSecond && c.SendTraceparent == other.SendTraceparent
}

func (s Settings) channel(name string) (found ChannelSettings, ok bool) {
	i := slices.IndexFunc(s.Channels, func(c ChannelSettings) bool { return c.Name == name })
	if i < 0 {
		return found, false
	}
	return s.Channels[i], true
}

// SettingsChange is what a person changes, at once or not at all. Nil and empty: as it is.
type SettingsChange struct {
	Channels        []ChannelSettings // all settings of those that change
	Auth            *string
	Token           *string
	DocumentBaseURL *string
	OfflineMode     *bool
	Release         *Release
}

// Release turns Offline Mode off, once what waits on these channels is discarded.
type Release struct{ Discard []string }

// SettingRefused is a value that the database refuses, in its words. They quote neither a URL nor a token.
type SettingRefused struct {
	Channel string // "" for the settings of all channels
	Column  string // of webhook.channels or webhook.settings
	Words   string
}

func (e *SettingRefused) Error() string { return fmt.Sprintf("%s: %s", e.Column, e.Words) }

// ErrReleasing means that an operation turns Offline Mode off already, or that it is off.
var ErrReleasing = errors.New("Offline Mode is off, or is being turned off")

// ErrSettingsLocked means that another session of the database holds the settings for long.
var ErrSettingsLocked = errors.New("another session holds the settings")

// ErrNoURL means that a channel has no URL to send a test event to.
var ErrNoURL = errors.New("the channel has no URL")

// ErrNoChannel means that there is no channel with this name.
var ErrNoChannel = errors.New("no such channel")

// ChannelFacts are what the page shows beside the settings of a channel.
type ChannelFacts struct {
	Channel      string
	Problem      string // why it cannot be called as configured, as an operator reads it; "": it can
	EverUsed     bool   // there was a success or a failure since the URL was set
	LastSuccess  *time.Time
	FailingSince *time.Time
	PausedUntil  *time.Time
	Look         Look
	WeekEvents   int64 // of the last seven days, whatever became of them
	BusiestHour  int64 // the most in one hour of these
}

// Look is what a worker found when it looked at the endpoint: name, connection and certificate.
type Look struct {
	At                 *time.Time // nil: not yet
	Problem            string     // in words
	Address            string
	TLSVersion         string
	CertificateSubject string
	CertificateIssuer  string
	CertificateEnds    *time.Time
}

// Change is a change of the settings, as it was recorded.
type Change struct {
	At      time.Time
	Actor   string
	Channel string // "": of all channels
	Note    string
}

// Waiting is how many events of a channel wait, counted to just above mostCounted.
type Waiting struct {
	Channel     string
	AtLeastOnce bool
	Enabled     bool
	Events      int64
	Oldest      *time.Time // when the oldest of them happened; nil: unknown
}

// settingsStore is the part of Store that the settings pages use.
type settingsStore interface {
	Settings(ctx context.Context) (Settings, error)

	// ChannelFacts returns those of each channel, by its name.
	ChannelFacts(ctx context.Context) (map[string]ChannelFacts, error)

	// WorkerSeen returns when a worker was last seen; nil: none ever was, or not for a day.
	WorkerSeen(ctx context.Context) (*time.Time, error)

	// RecentChanges returns the newest changes of the settings, at most so many, the newest first.
	RecentChanges(ctx context.Context, most int) ([]Change, error)

	// Waiting returns the channels on which events wait, in the document's order; off: only those that are off
	// and whose events wait for them to be enabled.
	Waiting(ctx context.Context, off bool) ([]Waiting, error)

	// URLProblems returns for each URL why it cannot be called, or "".
	URLProblems(ctx context.Context, urls []string) ([]string, error)

	// ChangeSettings locks the settings, passes them on as they are now, and saves what decide returns. An
	// error of decide is returned as it is; then, as with a *SettingRefused, SecretRefused, ErrReleasing or
	// ErrSettingsLocked, nothing is changed. operation is that of a release, else 0.
	ChangeSettings(ctx context.Context, actor string, decide func(now Settings) (SettingsChange, error)) (operation int64, err error)

	// SendTest queues the example of a channel as a test event, or returns ErrNoURL or ErrNoChannel.
	SendTest(ctx context.Context, actor, channel string) (id int64, err error)
}
