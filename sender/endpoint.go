package sender

import "net/url"

// setting is how a channel is configured to be called.
type setting struct{ url, token string }

// endpoint is a setting that was checked and parsed. That takes longer than the
// rest of an attempt's own work and gives the same each time, so it is kept.
type endpoint struct {
	target *url.URL
	hidden secrets
	err    error // why it cannot be called; then the others are nil
}

func (s *Sender) endpoint(url, token string) *endpoint {
	key := setting{url, token}
	if known, ok := s.endpoints.Load(key); ok {
		return known.(*endpoint)
	}
	to := &endpoint{}
	if to.target, to.err = checkEndpoint(url, token); to.err == nil {
		to.hidden = secretsOf(to.target, token)
	}
	s.endpoints.Store(key, to)
	return to
}

// originOf returns scheme://host[:port], all that may be shown of a URL.
func originOf(u *url.URL) string {
	return cut(clean(u.Scheme+"://"+u.Host), maxOrigin)
}
