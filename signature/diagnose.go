package signature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Verifier is what a receiver does with its keys. It remembers the last requests, to say what differs.
type Verifier struct {
	Keys []*Key
	Now  func() time.Time

	seen []request // the newest last
}

// request is what is signed, and what is said to be its signatures.
type request struct {
	id, at     string
	body       []byte
	signatures []string
}

// maxSeen bounds how many requests are remembered, maxSeenBody of which size.
const (
	maxSeen     = 100
	maxSeenBody = 64 << 10
)

// Verify returns nil if the request was signed with one of the keys, now; else an error that says what
// differs: the id, the time, the body or the secret.
func (v *Verifier) Verify(header http.Header, body []byte) error {
	r := request{id: header.Get("webhook-id"), at: header.Get("webhook-timestamp"), body: body, signatures: strings.Fields(header.Get("webhook-signature"))}
	for _, missing := range []struct {
		name string
		is   bool
	}{{"webhook-id", r.id == ""}, {"webhook-timestamp", r.at == ""}, {"webhook-signature", len(r.signatures) == 0}} {
		if missing.is {
			return fmt.Errorf("no signature: the header %s is missing", missing.name)
		}
	}
	err := v.judge(r)
	if len(body) <= maxSeenBody {
		v.seen = append(v.seen, r)
		v.seen = v.seen[max(0, len(v.seen)-maxSeen):]
	}
	return err
}

func (v *Verifier) judge(r request) error {
	seconds, err := strconv.ParseInt(r.at, 10, 64)
	if err != nil {
		return errors.New("time: webhook-timestamp is no number of seconds since 1970")
	}
	if !v.signed(r) {
		return v.differs(r, seconds)
	}
	away := v.Now().Sub(time.Unix(seconds, 0))
	switch {
	case away > Tolerance:
		return fmt.Errorf("time: signed %s ago by this machine's clock, at most %s is accepted: an old request, or one of the clocks is wrong", away.Round(time.Second), Tolerance)
	case away < -Tolerance:
		return fmt.Errorf("time: signed %s ahead of this machine's clock, at most %s is accepted: one of the clocks is wrong", (-away).Round(time.Second), Tolerance)
	}
	return nil
}

func (v *Verifier) signed(r request) bool {
	return slices.ContainsFunc(v.Keys, func(k *Key) bool { return k.verifies(r.signatures, r.id, r.at, r.body) })
}

// differs says why no signature verifies. What was signed is unknown, so it tries what is likely: a
// request that was seen before, another rendering of the body, a time within some minutes.
func (v *Verifier) differs(r request, seconds int64) error {
	if !slices.ContainsFunc(r.signatures, v.ours) {
		return fmt.Errorf("secret: no signature of a kind that this secret verifies; there are %s", versions(r.signatures))
	}
	for _, earlier := range slices.Backward(v.seen) {
		if !shares(earlier.signatures, r.signatures) || !v.signed(earlier) {
			continue
		}
		switch {
		case earlier.id != r.id:
			return errors.New("id: webhook-id is not the one that was signed, which is that of an earlier request")
		case earlier.at != r.at:
			return errors.New("time: webhook-timestamp is not the one that was signed, which is that of an earlier request")
		default:
			return errors.New("body: the body is not the one that was signed, which is that of an earlier request")
		}
	}
	for _, body := range renderings(r.body) {
		if v.signed(request{r.id, r.at, body, r.signatures}) {
			return errors.New("body: the body was changed on the way: in another rendering it verifies; sign and verify the bytes on the wire")
		}
	}
	if at, found := v.signedAt(r, seconds); found {
		return fmt.Errorf("time: webhook-timestamp is not the one that was signed, %d", at)
	}
	return errors.New("secret: it was signed with another secret, or id or body were changed on the way")
}

// ours reports whether a signature is of a kind that one of the keys verifies.
func (v *Verifier) ours(signature string) bool {
	return slices.ContainsFunc(v.Keys, func(k *Key) bool { return strings.HasPrefix(signature, k.kind.version()) })
}

func versions(signatures []string) string {
	var all []string
	for _, each := range signatures {
		version, _, _ := strings.Cut(each, ",")
		if len(version) <= 8 && !slices.Contains(all, version) {
			all = append(all, strconv.QuoteToASCII(version))
		}
	}
	return strings.Join(all[:min(len(all), 5)], ", ")
}

func shares(one, other []string) bool {
	return slices.ContainsFunc(one, func(each string) bool { return slices.Contains(other, each) })
}

// renderings are what programs make of a body between its signature and its verification, undone.
func renderings(body []byte) [][]byte {
	trimmed := bytes.TrimSpace(body)
	all := [][]byte{trimmed, append(slices.Clone(trimmed), '\n')}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		all = append(all, compact.Bytes())
	}
	return all
}

// searched is how far around its timestamp a request is searched for the time that was signed.
const searched = 600

func (v *Verifier) signedAt(r request, seconds int64) (int64, bool) {
	if len(r.body) > maxSeenBody {
		return 0, false
	}
	for away := int64(1); away <= searched; away++ {
		for _, at := range []int64{seconds - away, seconds + away} {
			if v.signed(request{r.id, strconv.FormatInt(at, 10), r.body, r.signatures}) {
				return at, true
			}
		}
	}
	return 0, false
}
