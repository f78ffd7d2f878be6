package integration_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
)

// login is a role of one test that may log in.
type login struct {
	*database
	name string
}

// loginRole makes a login role with these roles granted, for one test: roles
// belong to the whole server, so its name is its own and it goes with the test.
func loginRole(t testing.TB, db *database, granted ...string) *login {
	t.Helper()
	name, password := "webhooks_test_"+strings.ToLower(rand.Text()[:12]), strings.ToLower(rand.Text())
	db.exec(`create role ` + name + ` login password '` + password + `'`)
	t.Cleanup(func() {
		for _, statement := range []string{`drop owned by ` + name, `drop role ` + name} {
			if _, err := db.Exec(statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	if len(granted) > 0 {
		db.exec(`grant ` + strings.Join(granted, ", ") + ` to ` + name)
	}
	u, err := url.Parse(db.address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return &login{database: open(t, u.String()), name: name}
}
