package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/signature"
)

// Secrets implements admin.Store.
func (a *Admin) Secrets(ctx context.Context) ([]admin.Secret, error) {
	all, err := a.ListSecrets(ctx)
	secrets := make([]admin.Secret, len(all))
	for i, s := range all {
		secrets[i] = admin.Secret{ID: s.ID, Kind: string(s.Kind), Created: s.Created, Actor: s.Actor, Ends: s.Ends, Ended: s.Ended}
	}
	return secrets, err
}

// MakeSecret implements admin.Store.
func (a *Admin) MakeSecret(ctx context.Context, actor, kind string, overlap time.Duration) (id int64, shown string, err error) {
	id, shown, err = a.NewSecret(ctx, actor, signature.Kind(kind), overlap)
	if err != nil || kind != string(signature.Ed25519) {
		return id, shown, refusedSecret(err)
	}
	key, err := signature.Parse(shown)
	if err != nil {
		return 0, "", fmt.Errorf("signing secret %d: %w", id, err)
	}
	return id, signature.PublicText(key.Public()), nil
}

// EndSecret implements admin.Store.
func (a *Admin) EndSecret(ctx context.Context, actor string, id int64) error {
	err := a.RetireSecret(ctx, actor, id)
	if errors.Is(err, signature.ErrNone) || errors.Is(err, signature.ErrEnded) {
		return admin.ErrNoSecret
	}
	return err
}
