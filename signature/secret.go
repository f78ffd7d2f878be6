package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The prefixes of the specification's "Secret serialization".
const (
	prefixHMAC    = "whsec_"
	prefixPrivate = "whsk_"
	prefixPublic  = "whpk_"
)

// The specification's "Signing secret": between 24 and 64 bytes. webhook.secret_problem has the same.
const leastHMAC, mostHMAC = 24, 64

// Parse reads whsec_, whsk_ or whpk_ and base64.
//
// Of an Ed25519 key pair the specification says no more than "standard". Both serializations that are in
// use are read: the seed of 32 bytes (RFC 8032), and seed and public key, 64 bytes, as NaCl, Go and Svix
// have it.
func Parse(text string) (*Key, error) {
	for _, prefix := range []string{prefixHMAC, prefixPrivate, prefixPublic} {
		encoded, found := strings.CutPrefix(text, prefix)
		if !found {
			continue
		}
		raw, err := decode(encoded)
		if err != nil {
			return nil, err
		}
		switch prefix {
		case prefixHMAC:
			return newHMAC(raw)
		case prefixPrivate:
			return newPrivate(raw)
		}
		return newPublic(raw)
	}
	return nil, errors.New("it begins with neither whsec_ (HMAC) nor whsk_ (Ed25519)")
}

// decode is strict: base64.StdEncoding passes over line breaks.
func decode(encoded string) ([]byte, error) {
	if at := strings.IndexFunc(encoded, unicode.IsSpace); at >= 0 {
		return nil, fmt.Errorf("it contains white space (character %d behind its prefix)", at+1)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("it is not base64 behind its prefix")
	}
	return raw, nil
}

func newHMAC(raw []byte) (*Key, error) {
	if len(raw) < leastHMAC || len(raw) > mostHMAC {
		return nil, fmt.Errorf("it has %d bytes, %d to %d were expected", len(raw), leastHMAC, mostHMAC)
	}
	k := &Key{kind: HMAC}
	k.macs.New = func() any { return hmac.New(sha256.New, raw) }
	return k, nil
}

func newPrivate(raw []byte) (*Key, error) {
	switch len(raw) {
	case ed25519.SeedSize, ed25519.PrivateKeySize:
	default:
		return nil, fmt.Errorf("it has %d bytes, %d (a seed) or %d (seed and public key) were expected", len(raw), ed25519.SeedSize, ed25519.PrivateKeySize)
	}
	private := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !private.Equal(ed25519.PrivateKey(raw)) {
		return nil, errors.New("its second half is not the public key of its first half")
	}
	return &Key{kind: Ed25519, private: private, public: private.Public().(ed25519.PublicKey)}, nil //nolint:forcetypeassert // documented
}

func newPublic(raw []byte) (*Key, error) {
	if len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("it has %d bytes, %d were expected", len(raw), ed25519.PublicKeySize)
	}
	return &Key{kind: Ed25519, public: raw}, nil
}

// ParseSecrets reads secrets that sign, with one space between them.
func ParseSecrets(text string) (keys []*Key, err error) {
	for number, each := range strings.Fields(text) {
		key, err := Parse(each)
		if err == nil && key.kind == Ed25519 && key.private == nil {
			err = errors.New("it is a public key, which signs nothing")
		}
		if err != nil {
			return nil, fmt.Errorf("signing secret %d of %d: %w", number+1, len(strings.Fields(text)), err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// NewSecret makes a secret of 32 random bytes; an Ed25519 key pair is made of them.
func NewSecret(kind Kind) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	if kind == Ed25519 {
		return prefixPrivate + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(raw))
	}
	return prefixHMAC + base64.StdEncoding.EncodeToString(raw)
}

// Public is the public key of an Ed25519 key; nil of another.
func (k *Key) Public() ed25519.PublicKey { return k.public }

// PublicText is a public key as receivers are given it.
func PublicText(key ed25519.PublicKey) string {
	return prefixPublic + base64.StdEncoding.EncodeToString(key)
}
