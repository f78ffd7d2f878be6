package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/signature"
)

const signatureRows = `
	select id, kind, created_at as created, actor, case when isfinite(ends_at) then ends_at end as ends, coalesce(ends_at <= now(), false) as ended
	  from webhook.secrets`

// ListSecrets returns the signing secrets, the newest first, those that have ended included.
func (a *Admin) ListSecrets(ctx context.Context) (all []signature.Row, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = a.db.SelectContext(ctx, &all, signatureRows+` order by id desc`)
	return all, a.failed(err)
}

// MaxOverlap bounds for how long an older secret signs beside a new one.
const MaxOverlap = 10 * 365 * 24 * time.Hour

// NewSecret makes a signing secret, which signs from now on. Those of its kind that have no end, or a
// later one, end after overlap: until then receivers may verify with either. The secret is returned this
// once. It is encrypted if there is a key; where a running worker lacks that key it is an error.
func (a *Admin) NewSecret(ctx context.Context, actor string, kind signature.Kind, overlap time.Duration) (id int64, secret string, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return 0, "", fmt.Errorf("overlap is %s, a duration from 0 to ten years was expected", overlap)
	}
	secret = signature.NewSecret(kind)
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error {
		if err := a.workersHaveTheKey(ctx, tx); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &id, `select nextval('webhook.secrets_id_seq')`); err != nil {
			return err
		}
		stored, err := a.sealed(secretPlace(id), secret)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			-- $1 id, $2 kind, $3 secret
			insert into webhook.secrets (id, kind, secret) values ($1, $2, $3)`, id, kind, stored); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			-- $1 id, $2 kind, $3 overlap in seconds
			update webhook.secrets set ends_at = now() + $3 * interval '1 second'
			 where kind = $2 and id <> $1 and (ends_at is null or ends_at > now() + $3 * interval '1 second')`, id, kind, overlap.Seconds())
		return err
	})
	if err != nil {
		return 0, "", err
	}
	return id, secret, nil
}

// RetireSecret ends a signing secret now. What a worker has claimed before may still be signed with it.
// signature.ErrNone and ErrEnded: nothing was changed.
func (a *Admin) RetireSecret(ctx context.Context, actor string, id int64) error {
	return a.as(ctx, actor, func(tx *sqlx.Tx) error {
		var found []signature.Row
		err := tx.SelectContext(ctx, &found, signatureRows+` where id = $1 for update`, id)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return signature.ErrNone
		case found[0].Ended:
			return signature.ErrEnded
		}
		_, err = tx.ExecContext(ctx, `update webhook.secrets set ends_at = now() where id = $1`, id)
		return err
	})
}

// PublicKey is the public half of an Ed25519 secret.
type PublicKey struct {
	signature.Row
	Key []byte
}

// PublicKeys returns the public keys of the Ed25519 secrets that have not ended, the newest first.
func (a *Admin) PublicKeys(ctx context.Context) (all []PublicKey, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var rows []struct {
		signature.Row
		Secret string
	}
	err = a.db.SelectContext(ctx, &rows, `
		select id, kind, created_at as created, actor, case when isfinite(ends_at) then ends_at end as ends, false as ended, secret
		  from webhook.secrets where kind = 'ed25519' and (ends_at is null or ends_at > now()) order by id desc`)
	if err != nil {
		return nil, a.failed(err)
	}
	for _, r := range rows {
		text, err := a.keys.Open(secretPlace(r.ID), r.Secret)
		if err != nil {
			return nil, errors.New(unopened(fmt.Sprintf("signing secret %d", r.ID), err, "retire it"))
		}
		key, err := signature.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("signing secret %d: %w", r.ID, err)
		}
		all = append(all, PublicKey{r.Row, key.Public()})
	}
	return all, nil
}
