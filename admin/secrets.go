package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const secretsPath = settingsPath + "/secrets"

// Secret is a signing secret without the secret.
type Secret struct {
	ID      int64
	Kind    string // hmac or ed25519
	Created time.Time
	Actor   string     // who made it
	Ends    *time.Time // it signs nothing from then on; nil: no end
	Ended   bool
}

// KindWords is the kind in words.
func (s Secret) KindWords() string { return secretKinds[s.Kind] }

// Retirable reports whether it can be ended now, or sooner than it would.
func (s Secret) Retirable() bool { return !s.Ended }

var secretKinds = map[string]string{"hmac": "HMAC-SHA256 (v1)", "ed25519": "Ed25519 (v1a)"}

// ErrNoSecret means that there is no signing secret with this id, or that it has ended.
var ErrNoSecret = errors.New("no such signing secret, or it has ended")

// SecretRefused means that no secret was made and no token saved, and why, in words.
type SecretRefused struct{ Reason string }

func (r SecretRefused) Error() string { return r.Reason }

// secretStore is the part of Store that signing secrets use.
type secretStore interface {
	// Secrets returns the signing secrets, the newest first, those that have ended included.
	Secrets(ctx context.Context) ([]Secret, error)

	// MakeSecret makes one, which signs from now on, and returns what receivers need to verify with: the secret
	// of hmac, the public key of ed25519. The older ones of its kind end after overlap. SecretRefused: none was made.
	MakeSecret(ctx context.Context, actor, kind string, overlap time.Duration) (id int64, shown string, err error)

	// PlainSecrets returns the names of what is in plain text in the database although this page has a key to encrypt
	// with: the bearer token, signing secrets.
	PlainSecrets(ctx context.Context) ([]string, error)

	// EndSecret ends one now, or returns ErrNoSecret.
	EndSecret(ctx context.Context, actor string, id int64) error
}

// overlaps are for how long the older secrets sign beside a new one: until then each receiver must have it.
var overlaps = []struct {
	Name, Words string
	Length      time.Duration
}{
	{"1h", "1 hour", time.Hour},
	{"24h", "1 day", 24 * time.Hour},
	{"168h", "1 week", 7 * 24 * time.Hour},
	{"0", "Not at all", 0},
}

// secretsView is what the page of the signing secrets shows.
type secretsView struct {
	Secrets []Secret
	Signing bool // requests are signed
	Plain   []string
	Made    *madeSecret
	Gone    bool // a secret was shown before, and is not again
	Problem string
	Kind    string
	Overlap string
}

// Overlaps are the choices.
func (secretsView) Overlaps() any { return overlaps }

func (s *site) secretsPage(w http.ResponseWriter, r *http.Request) error {
	return s.showSecrets(w, r, http.StatusOK, secretsView{Kind: "hmac", Overlap: "24h"})
}

func (s *site) showSecrets(w http.ResponseWriter, r *http.Request, status int, v secretsView) (err error) {
	if v.Secrets, err = s.store.Secrets(r.Context()); err != nil {
		return err
	}
	if v.Plain, err = s.store.PlainSecrets(r.Context()); err != nil {
		return err
	}
	for _, each := range v.Secrets {
		v.Signing = v.Signing || !each.Ended
	}
	// At last: where the database does not answer, or only the headers are asked for, the secret is not shown.
	if ticket := r.URL.Query().Get("made"); ticket != "" && r.Method == http.MethodGet {
		v.Made = s.made.take(userOf(r), ticket)
		v.Gone = v.Made == nil
	}
	s.render(w, r, status, "secrets.html", "Signing secrets", v)
	return nil
}

func (s *site) makeSecret(w http.ResponseWriter, r *http.Request) error {
	in := fieldsOf(r.PostForm)
	v := secretsView{Kind: in.text("kind"), Overlap: in.text("overlap")}
	length, known := time.Duration(0), false
	for _, each := range overlaps {
		if each.Name == v.Overlap {
			length, known = each.Length, true
		}
	}
	if in.done() != nil || secretKinds[v.Kind] == "" || !known {
		v = secretsView{Kind: "hmac", Overlap: "24h", Problem: "The form was incomplete. No secret was made. Choose a kind, and how long the older ones sign beside it."}
		return s.showSecrets(w, r, http.StatusUnprocessableEntity, v)
	}
	id, shown, err := s.store.MakeSecret(r.Context(), userOf(r), v.Kind, length)
	var refused SecretRefused
	if errors.As(err, &refused) {
		v.Problem = refused.Reason
		return s.showSecrets(w, r, http.StatusConflict, v)
	}
	if err != nil {
		return err
	}
	s.redirect(w, r, secretsPath+"?made="+s.made.put(userOf(r), madeSecret{ID: id, Kind: v.Kind, Text: shown}))
	return nil
}

// askRetire asks: from then on receivers that have only this secret refuse what they get.
func (s *site) askRetire(w http.ResponseWriter, r *http.Request) error {
	secret, err := s.secretOf(r)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "secret_retire.html", "Retire a signing secret", secret)
	return nil
}

func (s *site) retireSecret(w http.ResponseWriter, r *http.Request) error {
	secret, err := s.secretOf(r)
	if err == nil {
		err = s.store.EndSecret(r.Context(), userOf(r), secret.ID)
	}
	if errors.Is(err, ErrNoSecret) {
		return noSuchSecret
	}
	if err != nil {
		return err
	}
	s.redirect(w, r, secretsPath)
	return nil
}

var noSuchSecret = failure{Status: http.StatusNotFound, Title: "There is no such signing secret",
	Means: "It does not exist, or has ended already. Nothing was changed.", Do: "Look at the signing secrets: Settings, Signing secrets."}

func (s *site) secretOf(r *http.Request) (Secret, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Secret{}, noSuchSecret
	}
	all, err := s.store.Secrets(r.Context())
	if err != nil {
		return Secret{}, err
	}
	for _, each := range all {
		if each.ID == id && !each.Ended {
			return each, nil
		}
	}
	return Secret{}, noSuchSecret
}
