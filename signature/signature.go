// Package signature signs and verifies requests as the Standard Webhooks specification 1.0.0 has it
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): over
// id.timestamp.body, with HMAC-SHA256 (v1) for each secret that begins with whsec_, with Ed25519 (v1a) for
// each that begins with whsk_.
//
//	secret.go     a secret as text: read, made
//	secret_row.go what the database shows of one
//	signature.go  what is signed, and how it is verified
//	diagnose.go   what differs where nothing verifies
//
// No error of this package quotes a secret.
package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Key is a secret, or a public key, that was read. It is safe for concurrent use.
type Key struct {
	kind    Kind
	public  ed25519.PublicKey
	private ed25519.PrivateKey // nil where only the public key is known
	macs    sync.Pool          // of hash.Hash: a MAC that is used again has its key hashed already
}

// Kind is the scheme of a key, as the table webhook.secrets names it.
type Kind string

// The kinds.
const (
	HMAC    Kind = "hmac"
	Ed25519 Kind = "ed25519"
)

// version is what stands before a signature of this kind.
func (k Kind) version() string {
	if k == Ed25519 {
		return "v1a,"
	}
	return "v1,"
}

// Kind is the scheme of the key.
func (k *Key) Kind() Kind { return k.kind }

// Append appends the signature of a request to a header's value. The key must not be a public one.
func (k *Key) Append(value []byte, id string, at int64, body []byte) []byte {
	value = append(value, k.kind.version()...)
	var sum [sha256.Size]byte
	if k.kind == HMAC {
		return base64.StdEncoding.AppendEncode(value, k.mac(sum[:0], id, strconv.FormatInt(at, 10), body))
	}
	if len(body) > largeBody {
		large.Lock()
		defer large.Unlock()
	}
	return base64.StdEncoding.AppendEncode(value, ed25519.Sign(k.private, signed(id, strconv.FormatInt(at, 10), body)))
}

// Ed25519 needs a copy of what it signs. Of the large ones there is one at a time, since the memory of a
// worker is bounded.
const largeBody = 64 << 10

var large sync.Mutex

// signed is what a signature is over.
func signed(id, at string, body []byte) []byte {
	text := make([]byte, 0, len(id)+len(at)+len(body)+2)
	text = append(append(append(append(text, id...), '.'), at...), '.')
	return append(text, body...)
}

func (k *Key) mac(sum []byte, id, at string, body []byte) []byte {
	h := k.macs.Get().(hash.Hash)
	defer k.macs.Put(h)
	h.Reset()
	_, _ = h.Write([]byte(id + "." + at + "."))
	_, _ = h.Write(body)
	return h.Sum(sum)
}

// verifies reports whether one of the signatures is that of a request. at is the header as it was sent.
func (k *Key) verifies(signatures []string, id, at string, body []byte) bool {
	var want []byte
	for _, each := range signatures {
		encoded, ours := strings.CutPrefix(each, k.kind.version())
		got, err := base64.StdEncoding.DecodeString(encoded)
		if !ours || err != nil {
			continue
		}
		if k.kind == Ed25519 {
			if ed25519.Verify(k.public, signed(id, at, body), got) {
				return true
			}
			continue
		}
		if want == nil {
			want = k.mac(nil, id, at, body)
		}
		if hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

// Tolerance is how far a timestamp may be from the receiver's clock, as in the specification's libraries.
const Tolerance = 5 * time.Minute
