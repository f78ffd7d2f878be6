package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/atrest"
)

// UseKeys lets what is set from now on be encrypted under the first of these keys; nil: none.
func (a *Admin) UseKeys(keys *atrest.Keys) *Admin {
	a.keys = keys
	return a
}

// sealed encrypts a secret for its place, if there is a key.
func (a *Admin) sealed(place, plain string) (string, error) {
	if len(a.keys.IDs()) == 0 {
		return plain, nil
	}
	return a.keys.Seal(place, plain)
}

// sealing encrypts the token of a change. One that is no header value, and one that is removed, stays as it
// is: the database refuses the former in words. Where a running worker lacks the key it is admin.SecretRefused.
func (a *Admin) sealing(ctx context.Context, tx *sqlx.Tx, decide func(admin.Settings) (admin.SettingsChange, error)) func(admin.Settings) (admin.SettingsChange, error) {
	return func(now admin.Settings) (admin.SettingsChange, error) {
		change, err := decide(now)
		if err != nil || change.Token == nil || *change.Token == "" || strings.ContainsFunc(*change.Token, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return change, err
		}
		if err := a.workersHaveTheKey(ctx, tx); err != nil {
			return change, refusedSecret(err)
		}
		token, err := a.sealed(tokenPlace, *change.Token)
		change.Token = &token
		return change, err
	}
}

// ErrNoKey means that there is no key to encrypt with.
var ErrNoKey = errors.New("WEBHOOK_SECRET_KEY is not set: there is no key to encrypt with")

// EncryptSecrets encrypts under the first key what is in plain text or under another key: all of it, or
// nothing. It returns the names of what was encrypted. Where a running worker lacks that key it is an error.
func (a *Admin) EncryptSecrets(ctx context.Context, actor string) (done []string, err error) {
	if len(a.keys.IDs()) == 0 {
		return nil, ErrNoKey
	}
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error {
		done = nil
		if err := a.workersHaveTheKey(ctx, tx); err != nil {
			return err
		}
		all, err := secretsAtRest(ctx, tx, " for update")
		if err != nil {
			return err
		}
		for _, s := range all {
			changed, err := a.encrypt(ctx, tx, s)
			if err != nil {
				return err
			}
			if changed {
				done = append(done, s.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

func (a *Admin) encrypt(ctx context.Context, tx *sqlx.Tx, s SecretAtRest) (changed bool, err error) {
	plain, err := a.keys.Open(s.place(), s.stored)
	if err != nil && !s.InUse {
		return false, nil // of a key that is gone; it signs nothing any more
	}
	if err != nil {
		return false, errors.New(unopened(s.Name, err, s.remedy()))
	}
	if a.keys.Current(s.stored) {
		return false, nil
	}
	text, err := a.keys.Seal(s.place(), plain)
	if err != nil {
		return false, err
	}
	if s.id == 0 {
		_, err = tx.ExecContext(ctx, `update webhook.settings set bearer_token = $1`, text)
	} else {
		_, err = tx.ExecContext(ctx, `update webhook.secrets set secret = $1 where id = $2`, text, s.id)
	}
	return err == nil, err
}

// lackingKey means that running workers lack a key.
type lackingKey struct{ workers, key string }

func (e lackingKey) Error() string {
	return fmt.Sprintf("the worker %s does not have the key %s and would deliver nothing: add the key to its WEBHOOK_SECRET_KEY and start it again first", e.workers, e.key)
}

// refusedSecret is a lackingKey as the page says it; another error as it is.
func refusedSecret(err error) error {
	var lacking lackingKey
	if errors.As(err, &lacking) {
		return admin.SecretRefused{Reason: sentence(lacking.Error())}
	}
	return err
}

// workersHaveTheKey is an error where there is a key and a running worker cannot decrypt what would be encrypted:
// it would deliver nothing.
func (a *Admin) workersHaveTheKey(ctx context.Context, tx *sqlx.Tx) error {
	if len(a.keys.IDs()) == 0 {
		return nil
	}
	var lacking []string
	err := tx.SelectContext(ctx, &lacking, `
		-- $1 the key
		select name from webhook.workers
		 where seen_at > clock_timestamp() - interval '1 minute'
		   and not exists (select from jsonb_array_elements_text(coalesce(settings -> 'secret_keys', '[]')) k where k = any ($1))
		 order by name`, pq.Array(a.keys.IDs()[:1]))
	if err == nil && len(lacking) > 0 {
		err = lackingKey{strings.Join(lacking, ", "), a.keys.IDs()[0]}
	}
	return err
}
