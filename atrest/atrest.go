// Package atrest encrypts what the database holds of secrets: AES-256-GCM with a random nonce, bound to
// the place in which it stands, so that it can be read in no other row. The text of it is
//
//	enc1.<id of the key>.<base64url of nonce, ciphertext and tag>
//
// where the id is the first eight hexadecimal digits of the SHA-256 of the key. What does not begin with
// enc1. is plain text, and stays usable. No error quotes a key or a secret.
package atrest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

const prefix = "enc1."

// keySize is that of AES-256.
const keySize = 32

// Keys are what WEBHOOK_SECRET_KEY holds: the first encrypts, all decrypt. A nil *Keys has none. It is
// safe for concurrent use.
type Keys struct{ all []key }

type key struct {
	id   string
	aead cipher.AEAD
}

// Parse reads keys of 32 bytes in base64, with commas or white space between them.
func Parse(text string) (*Keys, error) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(parts) == 0 {
		return nil, errors.New("there is no key: 32 random bytes in base64 were expected, as openssl rand -base64 32 makes them")
	}
	keys := &Keys{}
	for i, part := range parts {
		raw, err := base64.StdEncoding.DecodeString(part)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d is not base64", i+1, len(parts))
		}
		if len(raw) != keySize {
			return nil, fmt.Errorf("key %d of %d has %d bytes, %d were expected, as openssl rand -base64 32 makes them", i+1, len(parts), len(raw), keySize)
		}
		keys.all = append(keys.all, newKey(raw))
	}
	return keys, nil
}

func newKey(raw []byte) key {
	sum := sha256.Sum256(raw)
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err) // not with 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // not with AES
	}
	return key{id: hex.EncodeToString(sum[:4]), aead: aead}
}

// IDs are the ids of the keys, that which encrypts first. They are no secret.
func (k *Keys) IDs() []string {
	ids := []string{}
	if k != nil {
		for _, each := range k.all {
			ids = append(ids, each.id)
		}
	}
	return ids
}

// Seal encrypts a secret for one place: a table, a column and a row.
func (k *Keys) Seal(place, plain string) (string, error) {
	if k == nil || len(k.all) == 0 {
		return "", errors.New("there is no key to encrypt with: WEBHOOK_SECRET_KEY is not set")
	}
	first := k.all[0]
	sealed := first.aead.Seal(nil, nil, []byte(plain), []byte(place))
	return prefix + first.id + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// The reasons for which a text cannot be decrypted.
var (
	ErrUnknownKey = errors.New("it is encrypted under a key that WEBHOOK_SECRET_KEY does not have")
	ErrForged     = errors.New("it was encrypted, and was cut off, changed, or copied from another row since")
)

// Open returns the secret that stands in a place; plain text as it is.
func (k *Keys) Open(place, stored string) (string, error) {
	if !Sealed(stored) {
		return stored, nil
	}
	id, encoded, _ := strings.Cut(strings.TrimPrefix(stored, prefix), ".")
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", ErrForged
	}
	known := false
	for _, each := range k.named(id) { // two keys may have one id
		known = true
		if plain, err := each.aead.Open(nil, nil, sealed, []byte(place)); err == nil && len(plain) > 0 {
			return string(plain), nil
		}
	}
	if !known {
		return "", ErrUnknownKey
	}
	return "", ErrForged
}

func (k *Keys) named(id string) (all []key) {
	if k == nil {
		return nil
	}
	for _, each := range k.all {
		if each.id == id {
			all = append(all, each)
		}
	}
	return all
}

// Sealed reports whether a text is encrypted.
func Sealed(stored string) bool { return strings.HasPrefix(stored, prefix) }

// Current reports whether a text is encrypted under the key that encrypts.
func (k *Keys) Current(stored string) bool {
	return k != nil && len(k.all) > 0 && strings.HasPrefix(stored, prefix+k.all[0].id+".")
}
