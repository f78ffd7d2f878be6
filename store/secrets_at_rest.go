package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/atrest"
)

// SecretAtRest is a secret as the database holds it.
type SecretAtRest struct {
	Name  string // for people
	Plain bool   // in plain text
	Under string // else the id of the key that it is encrypted under
	InUse bool   // a worker sends it or signs with it

	id     int64 // of a signing secret; 0: the bearer token
	stored string
}

// place is that for which it is encrypted.
func (s SecretAtRest) place() string {
	if s.id == 0 {
		return tokenPlace
	}
	return secretPlace(s.id)
}

func (s SecretAtRest) remedy() string {
	if s.id == 0 {
		return tokenRemedy
	}
	return secretRemedy(s.id)
}

// Problem is why a worker with these keys cannot use it, in words; "" if nothing.
func (s SecretAtRest) Problem(keys *atrest.Keys) string {
	_, err := keys.Open(s.place(), s.stored)
	return unopened(s.Name, err, s.remedy())
}

// SecretsAtRest returns the bearer token, if one is set, and the signing secrets, those that have ended
// included: a dump holds them as well. The role must be one that may see them.
func SecretsAtRest(ctx context.Context, db sqlx.QueryerContext) (all []SecretAtRest, err error) {
	return secretsAtRest(ctx, db, "")
}

func secretsAtRest(ctx context.Context, db sqlx.QueryerContext, lock string) (all []SecretAtRest, err error) {
	var rows []struct {
		ID     int64
		Stored string
		Under  *string
		InUse  bool `db:"in_use"`
	}
	for _, query := range []string{
		`select 0 as id, bearer_token as stored, token_encrypted_under as under, auth = 'bearer' as in_use
		   from webhook.settings where bearer_token <> ''`,
		`select id, secret as stored, encrypted_under as under, ends_at is null or ends_at > now() as in_use
		   from webhook.secrets order by id`,
	} {
		if err := sqlx.SelectContext(ctx, db, &rows, query+lock); err != nil {
			return nil, fmt.Errorf("read the secrets: %w", err)
		}
		for _, r := range rows {
			name := "the bearer token"
			if r.ID != 0 {
				name = fmt.Sprintf("signing secret %d", r.ID)
			}
			all = append(all, SecretAtRest{Name: name, Plain: r.Under == nil, Under: orEmpty(r.Under), InUse: r.InUse, id: r.ID, stored: r.Stored})
		}
		rows = nil
	}
	return all, nil
}

// OpenToken returns the bearer token as it is sent.
func OpenToken(keys *atrest.Keys, stored string) (string, error) {
	return keys.Open(tokenPlace, stored)
}

// PlainSecrets implements admin.Store.
func (a *Admin) PlainSecrets(ctx context.Context) (names []string, err error) {
	if len(a.keys.IDs()) == 0 {
		return nil, nil
	}
	defer a.network.endWith(ctx)()
	all, err := SecretsAtRest(ctx, a.db)
	for _, s := range all {
		if s.Plain {
			names = append(names, s.Name)
		}
	}
	return names, a.failed(err)
}
