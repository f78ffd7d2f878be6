package sender

import (
	"fmt"
	"net/url"

	"github.com/recordengine/webhooks/signature"
)

// setting is how a channel is configured to be called.
type setting struct{ url, token, secrets string }

// endpoint is a setting that was checked and parsed. That takes longer than the
// rest of an attempt's own work and gives the same each time, so it is kept.
type endpoint struct {
	target *target
	keys   []*signature.Key // sign each attempt
	hidden secrets
	err    error // why it cannot be called; then the others are nil
}

func (s *Sender) endpoint(url, token, secrets string) *endpoint {
	key := setting{url, token, secrets}
	if known, ok := s.endpoints.Load(key); ok {
		return known.(*endpoint)
	}
	to := newEndpoint(url, token, secrets)
	s.endpoints.Store(key, to)
	return to
}

func newEndpoint(rawURL, token, signing string) *endpoint {
	to := &endpoint{}
	if to.target, to.err = checkEndpoint(rawURL, token); to.err != nil {
		return to
	}
	if to.keys, to.err = signature.ParseSecrets(signing); to.err != nil {
		to.err = fmt.Errorf("cannot call: %w; nothing was sent", to.err)
		return to
	}
	to.hidden = append(secretsOf(to.target.url, bare(token)), signingSecrets(signing)...)
	if wire, err := url.ParseRequestURI(to.target.path); err == nil {
		wire.Host = to.target.host
		to.hidden = append(to.hidden, secretsOf(wire, trimmed(token))...)
	}
	return to
}

// originOf returns scheme://host[:port] of a Location.
func originOf(u *url.URL) string {
	return cut(clean(u.Scheme+"://"+u.Host), maxOrigin)
}
