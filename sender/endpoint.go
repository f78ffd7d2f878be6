package sender

import "net/url"

// setting is how a channel is configured to be called.
type setting struct{ url, token string }

// endpoint is a setting that was checked and parsed. That takes longer than the
// rest of an attempt's own work and gives the same each time, so it is kept.
type endpoint struct {
	target *target
	hidden secrets
	err    error // why it cannot be called; then the others are nil
}

func (s *Sender) endpoint(url, token string) *endpoint {
	key := setting{url, token}
	if known, ok := s.endpoints.Load(key); ok {
		return known.(*endpoint)
	}
	to := newEndpoint(url, token)
	s.endpoints.Store(key, to)
	return to
}

func newEndpoint(rawURL, token string) *endpoint {
	to := &endpoint{}
	if to.target, to.err = checkEndpoint(rawURL, token); to.err != nil {
		return to
	}
	to.hidden = secretsOf(to.target.url, bare(token))
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
