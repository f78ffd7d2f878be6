package admin

import (
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"
)

func TestPassword_HashIsOfArgon2id(t *testing.T) {
	hash, err := HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(hash)
	}
	if err := CheckPasswordHash(hash); err != nil {
		t.Error(err)
	}
	other, err := HashPassword(password)
	if err != nil || other == hash {
		t.Errorf("twice the same hash, or %v", err)
	}
	for word, want := range map[string]bool{password: true, password + "x": false, "": false, strings.Repeat("x", 1<<20): false} {
		if right, err := argon2id.ComparePasswordAndHash(word, hash); right != want || err != nil {
			t.Errorf("%.20q: %t, %v", word, right, err)
		}
	}
	// One of another program, and of other parameters.
	const reference = "$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$"
	if err := CheckPasswordHash(reference + "gJ0nq4iXbtoQmcxpTPEtT4oKF4kpsZOYDGrAKnwLMaE"); err != nil {
		t.Error(err)
	}
}

// What would let in everybody, end the program or fill the machine is refused before it is used.
func TestPassword_BrokenHashIsRefused(t *testing.T) {
	hash, err := HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	cut := hash[:strings.LastIndexByte(hash, '$')+1]
	for name, broken := range map[string]string{
		"empty": "", "a password": password, "cut off after the salt": cut, "of a short sum": cut + "AAAA", "without a salt": "$argon2id$v=19$m=64,t=1,p=1$$" + strings.Repeat("A", 43),
		"of no rounds": strings.Replace(hash, "t=2", "t=0", 1), "of no threads": strings.Replace(hash, "p=1", "p=0", 1), "of all memory": strings.Replace(hash, "m=19456", "m=4294967295", 1),
		"argon2i": strings.Replace(hash, "argon2id", "argon2i", 1), "bcrypt": "$2y$10$abcdefghijklmnopqrstuv", "of another version": strings.Replace(hash, "v=19", "v=16", 1),
		"as a shell leaves it": "=19=19456,t=2,p=1",
	} {
		err := CheckPasswordHash(broken)
		if err == nil || !strings.Contains(err.Error(), "webhooks admin hash-password") || broken != "" && strings.Contains(err.Error(), broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
