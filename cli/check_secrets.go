package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/recordengine/webhooks/store"
)

// secrets are the token and the signing secrets, as the database holds them. A role that cannot be the worker
// (canWork is false) need not have the key.
func (d *doctor) secrets(ctx context.Context, cfg *workerConfig, canWork bool) {
	all, err := store.SecretsAtRest(ctx, d.db)
	if err != nil {
		d.bad("secrets", "%v", err)
		return
	}
	keys := cfg.keys.IDs()
	var plain, older, untried []string
	for _, s := range all {
		problem := s.Problem(cfg.keys)
		switch {
		case problem != "" && !canWork && !slices.Contains(keys, s.Under):
			untried = append(untried, s.Name)
		case problem != "" && s.InUse:
			d.bad("secrets", "a worker with these settings delivers nothing: %s", problem)
		case s.Plain:
			plain = append(plain, s.Name)
		case slices.Index(keys, s.Under) > 0:
			older = append(older, s.Name)
		}
	}
	if len(untried) > 0 {
		d.ok("secrets", "encrypted under a key that is not here, so that they are not tried: %s", strings.Join(untried, ", "))
	}
	d.encryptable(plain, older, len(keys) > 0)
}

// encryptable names what webhooks secrets encrypt would encrypt.
func (d *doctor) encryptable(plain, older []string, key bool) {
	remedy := "webhooks secrets encrypt"
	if !key {
		remedy = "give workers and page a WEBHOOK_SECRET_KEY (openssl rand -base64 32), then " + remedy
	}
	if len(plain) > 0 {
		d.warn("secrets", "in plain text in the database: %s; to encrypt: %s", strings.Join(plain, ", "), remedy)
	}
	if len(older) > 0 {
		d.warn("secrets", "not under the first key of WEBHOOK_SECRET_KEY: %s; to encrypt: %s", strings.Join(older, ", "), remedy)
	}
}

// clockTolerance is a fifth of what the receivers of signatures accept.
const clockTolerance = time.Minute

// clock compares this machine's clock, from which the time of a signature is taken, with the database's.
func (d *doctor) clock(ctx context.Context) {
	var theirs time.Time
	before := time.Now()
	if err := d.db.GetContext(ctx, &theirs, `select clock_timestamp()`); err != nil {
		d.bad("clock", "%v", err)
		return
	}
	away := theirs.Sub(before)
	if away > clockTolerance+time.Since(before) || away < -clockTolerance {
		d.warn("clock", "this machine's differs from the database's by %s; receivers refuse a signature whose time is five minutes off", away.Abs().Round(time.Second))
	}
}
