package admin

import (
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"
)

// hashParams are those of a new hash: the first choice of the OWASP Password Storage Cheat Sheet for
// argon2id. 19 MiB fit into the memory of a worker that serves the page; argon2id.DefaultParams has 64.
var hashParams = argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// mostMemory is what a hash may ask of this machine for each login, in kB.
const mostMemory = 1 << 20

// HashPassword is the hash of a password as WEBHOOK_ADMIN_PASSWORD_HASH has it, a PHC string.
func HashPassword(password string) (string, error) {
	hash, err := argon2id.CreateHash(password, &hashParams)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return hash, nil
}

// CheckPasswordHash refuses what no password should be compared with. Of a hash that was cut off after its
// last "$" every password would be a right one, and argon2 panics where a parameter is 0.
func CheckPasswordHash(hash string) error {
	p, _, _, err := argon2id.DecodeHash(hash)
	switch {
	case err != nil, p.Iterations < 1, p.Parallelism < 1, p.SaltLength < 8, p.KeyLength < 16:
		return errors.New("it is no argon2id hash, or not a whole one; make one with: webhooks admin hash-password " +
			"(a shell replaces what follows each $, except between single quotes)")
	case p.Memory > mostMemory:
		return fmt.Errorf("it asks for %d MB for each login, at most %d are allowed; make another one with: webhooks admin hash-password", p.Memory>>10, mostMemory>>10)
	}
	return nil
}
