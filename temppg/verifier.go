package temppg

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// iterations of SCRAM; PostgreSQL's own are 4096, and lib/pq refuses fewer than 1000. They protect passwords that can be
// guessed, which 128 random bits cannot. Both ends compute them for each connection: with the race detector they were
// 9 of the 14 ms of CPU that one took.
const iterations = 1000

// Verifier is what PostgreSQL stores of a password; `create role … password` accepts it in place of the password.
func Verifier(password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt) // since Go 1.24 it never returns an error
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("salt a password: %w", err)
	}
	stored := sha256.Sum256(hmacOf(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(hmacOf(salted, "Server Key"))), nil
}

func hmacOf(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}
