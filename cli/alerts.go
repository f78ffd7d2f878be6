package cli

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/alert"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// alertConfig are the settings of the alerts.
type alertConfig struct {
	url      string // "": none
	page     string // WEBHOOK_ADMIN_URL, without a slash at its end
	interval time.Duration
}

// alerts reads them. The URL has no flag: others can see flags, and it may contain a key.
func (f *flags) alerts(c *alertConfig) {
	set := func(text string) error {
		c.url = strings.TrimSpace(text)
		return sender.CheckURL(c.url)
	}
	f.fromEnv("WEBHOOK_ALERT_URL", set)
	f.fromEnv("WEBHOOK_ALERT_URL_FILE", func(path string) error {
		if c.url != "" {
			return errors.New("WEBHOOK_ALERT_URL is set, too: remove one of them")
		}
		text, err := fileOf("the file", path)()
		if err != nil {
			return err
		}
		return set(text)
	})
	f.fromEnv("WEBHOOK_ADMIN_URL", c.setPage)
	c.interval = 15 * time.Minute
	f.fromEnv("WEBHOOK_ALERT_INTERVAL", func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d > 24*time.Hour {
			return errors.New("a duration from 1s to 24h was expected, such as 15m")
		}
		c.interval = d
		return nil
	})
}

// setPage quotes nothing of a URL that is wrong.
func (c *alertConfig) setPage(text string) error {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("it is no address of a page, such as https://webhooks.example.com/webhooks")
	}
	c.page = strings.TrimRight(u.String(), "/")
	return nil
}

// watcher posts the alerts through a sender of its own: the same networks, proxy and certificates, and no
// connection of an event.
func (c *workerConfig) watcher(worker bool, s *store.Store, log *zap.Logger, try func(string, func() error) error) *alert.Watcher {
	return alert.New(s, c.sender(alert.Timeout), log, try, alert.Options{URL: c.alerts.url, Page: c.alerts.page, Interval: c.alerts.interval, Worker: worker})
}

// pageAlerts are the settings that a page needs to post alerts where no worker is left.
func (f *flags) pageAlerts() *workerConfig {
	c := &workerConfig{}
	if f.env("WEBHOOK_ALERT_URL") == "" && f.env("WEBHOOK_ALERT_URL_FILE") == "" {
		return c // the rest does not concern a page
	}
	f.fromEnv("WEBHOOK_ENVIRONMENT", func(text string) error { c.environment = &text; return nil })
	f.fromEnv("WEBHOOK_ALLOW_NETWORKS", c.networks.set)
	f.fromEnv("WEBHOOK_CA_FILE", c.caFile.set)
	f.proxy(&c.proxy)
	f.alerts(&c.alerts)
	return c
}

// besidePage posts alerts beside a page without a worker, until the returned function ends it.
func (c *workerConfig) besidePage(stop context.Context, db *sqlx.DB, log *zap.Logger) (end func()) {
	if c.alerts.url == "" {
		return func() {}
	}
	s := store.New(db, pageLease)
	s.Introduce(store.Worker{Environment: c.environment})
	stop, cancel := context.WithCancel(stop)
	var logged time.Time
	watcher := c.watcher(false, s, log, func(doing string, do func() error) error {
		err := do()
		if err != nil && stop.Err() == nil && time.Since(logged) >= logProblemEvery {
			log.Warn("alerts delayed, retrying on the next cycle", zap.String("doing", doing), zap.Error(err))
			logged = time.Now()
		}
		return err
	})
	cycle := newCycle(func() { watcher.Begin(stop) })
	cycle.Start()
	return func() {
		cycle.Stop()
		cancel()
		watcher.Wait()
	}
}
