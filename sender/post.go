package sender

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/recordengine/webhooks/outbox"
)

// post sends the request once and returns the answer, its body unread.
//
// A kept connection may turn out to be closed before a single byte of the
// request was written. Then, and only then, the request goes to another
// connection: it was not sent yet. net/http does not replay it: its
// shouldRetryRequest needs GetBody, an idempotent method or an Idempotency-Key
// header, and this request has none of them.
func (s *Sender) post(ctx context.Context, target *url.URL, req outbox.Request) (*http.Response, *trail, error) {
	for {
		went := &trail{}
		answer, err := s.transport.RoundTrip(s.request(went.follow(ctx), target, req))
		if err == nil || went.wrote() || !went.reused || ctx.Err() != nil {
			return answer, went, err
		}
	}
}

// request is the POST of docs/contract.md, "The request". Its body can be read
// once and not be rewound: see post. webhook-id is sent in lower case, as written.
func (s *Sender) request(ctx context.Context, target *url.URL, req outbox.Request) *http.Request {
	r := (&http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   {s.agent},
			"webhook-id":   {req.WebhookID},
		},
		Body:          io.NopCloser(bytes.NewReader(req.Body)),
		ContentLength: int64(len(req.Body)),
	}).WithContext(ctx)
	if len(req.Body) == 0 {
		r.Body = http.NoBody
	}
	authorize(r, req.Token)
	return r
}

// authorize sets the bearer token, or else the URL's own userinfo as Basic.
func authorize(r *http.Request, token string) {
	user := r.URL.User
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case user != nil:
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
}
