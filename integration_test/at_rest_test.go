package integration_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/atrest"
	"github.com/recordengine/webhooks/store"
)

// keyOf is a key for WEBHOOK_SECRET_KEY, which consists of one byte.
func keyOf(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func idOf(t *testing.T, key string) string {
	t.Helper()
	keys, err := atrest.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	return keys.IDs()[0]
}

// quickWith is quick with WEBHOOK_SECRET_KEY.
func quickWith(db *database, key string) settings {
	env := maps.Clone(quick(db.address))
	if key != "" {
		env["WEBHOOK_SECRET_KEY"] = key
	}
	return env
}

// program runs a command with a key.
func (db *database) program(key string, args ...string) (out, errs string, status int) {
	db.t.Helper()
	return runProgram(db.t, quickWith(db, key), nil, args...)
}

// deliver runs the worker with a key until no event is due.
func (db *database) deliver(key string) {
	db.t.Helper()
	if _, errs, status := db.program(key, "run", "--once"); status != 0 {
		db.t.Errorf("webhooks run --once: exit status %d\n%s", status, errs)
	}
}

// encrypted is a database with a token and a signing secret that were encrypted under a key.
func encrypted(t *testing.T, endpoint, key string) (db *database, secret string) {
	t.Helper()
	db = ready(t, endpoint)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'tok_geheim'`)
	secret = secrets(t, db, "new")
	out, errs, status := db.program(key, "secrets", "encrypt")
	if status != 0 || out != "Encrypted: the bearer token, signing secret 1.\n" {
		t.Fatalf("exit status %d: %s %s", status, out, errs)
	}
	return db, secret
}

// only is the one request of an event.
func only(t *testing.T, rcv *receiver, id int64) receipt {
	t.Helper()
	got := rcv.of(id)
	if len(got) != 1 {
		t.Fatalf("event %d: %d requests, of all events %d", id, len(got), len(rcv.all()))
	}
	return got[0]
}

// admin is the store of a page with that key.
func (db *database) admin(key string) *store.Admin {
	db.t.Helper()
	keys, err := atrest.Parse(key)
	if err != nil {
		db.t.Fatal(err)
	}
	pool, err := store.Open(db.address)
	if err != nil {
		db.t.Fatal(err)
	}
	db.t.Cleanup(func() { _ = pool.Close() })
	return store.NewAdmin(pool, store.Schema{}).UseKeys(keys)
}

// setToken sets the bearer token as the page does.
func (db *database) setToken(key, token string) {
	db.t.Helper()
	auth := "bearer"
	_, err := db.admin(key).ChangeSettings(db.t.Context(), "jean", func(admin.Settings) (admin.SettingsChange, error) {
		return admin.SettingsChange{Auth: &auth, Token: &token}, nil
	})
	if err != nil {
		db.t.Fatal(err)
	}
}

// plainSecrets are what a page with that key names.
func (db *database) plainSecrets(key string) string {
	db.t.Helper()
	names, err := db.admin(key).PlainSecrets(db.t.Context())
	if err != nil {
		db.t.Error(err)
	}
	return strings.Join(names, ", ")
}

// dump is what pg_dump writes; where the machine has none for this server, what it would copy: each row of
// each table.
func (db *database) dump() (all []byte) {
	db.t.Helper()
	dump := filepath.Join(db.ask(`select setting from pg_config where name = 'BINDIR'`), "pg_dump")
	if _, err := os.Stat(dump); err == nil {
		all, err = exec.CommandContext(db.t.Context(), dump, "--dbname="+db.address).Output()
		if err != nil {
			db.t.Fatalf("pg_dump: %v", err)
		}
		return all
	}
	db.t.Log("this machine has no pg_dump of the server's version: the tables are read instead")
	var tables []string
	if err := db.Select(&tables, `select oid::regclass::text from pg_class where relnamespace = 'webhook'::regnamespace and relkind = 'r'`); err != nil {
		db.t.Fatal(err)
	}
	for _, table := range tables {
		all = append(all, db.ask(`select coalesce(string_agg(t::text, e'\n'), '') from `+table+` t`)...)
	}
	return all
}

func TestAtRest_ADumpTheDataAndTheLogTellNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`alter database ` + db.ask(`select quote_ident(current_database())`) + ` set log_statement = 'all'`)
	key, token := keyOf(7), "tok_canary_d41d8cd98f00b204"
	db.setToken(key, token)
	out, errs, status := db.program(key, "secrets", "new")
	secret := strings.TrimSpace(out)
	if status != 0 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	id := db.publish("contact.created", `{}`)
	db.deliver(key)
	if r := only(t, rcv, id); r.header.Get("Authorization") != "Bearer "+token || !verifies(t, r, secret) {
		t.Fatalf("what arrives is %v", r.header)
	}

	canaries := []string{token, strings.TrimPrefix(secret, "whsec_"), key}
	search := func(where string, content []byte) {
		for _, canary := range canaries {
			if bytes.Contains(content, []byte(canary)) {
				t.Errorf("%s holds %s", where, canary)
			}
		}
	}
	dumped := db.dump()
	if !bytes.Contains(dumped, []byte("enc1."+idOf(t, key))) {
		t.Fatalf("the dump of %d bytes does not have the secrets, and proves nothing", len(dumped))
	}
	search("the dump", dumped)
	log := db.serverLog()
	search("the log", []byte(log))
	if log != "" && !strings.Contains(log, "enc1."+idOf(t, key)) {
		t.Error("the log does not have the statements, and proves nothing")
	}
	db.exec(`checkpoint`)
	read := 0
	directory := db.ask(`select current_setting('data_directory')`)
	err := filepath.WalkDir(directory, func(path string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() {
			return nil //nolint:nilerr // of other databases, which go while the tests run
		}
		if content, err := os.ReadFile(path); err == nil {
			search(path, content)
			read++
		}
		return nil
	})
	if err != nil || read == 0 {
		t.Logf("the data directory is out of reach: the dump alone is judged: %v", err)
	}
}

func TestAtRest_WhatIsPlainKeepsWorkingAndIsNamed(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'tok_geheim'`)
	secret := secrets(t, db, "new")
	key := keyOf(1)
	for _, k := range []string{"", key} {
		id := db.publish("contact.created", `{}`)
		db.deliver(k)
		if r := only(t, rcv, id); r.header.Get("Authorization") != "Bearer tok_geheim" || !verifies(t, r, secret) {
			t.Errorf("what arrives is %v", r.header)
		}
	}
	if got := db.plainSecrets(key); got != "the bearer token, signing secret 1" {
		t.Errorf("for the page: %q", got)
	}
	out, _, _ := db.program("", "check")
	with(t, "check without a key", out, "warn  secrets: in plain text in the database: the bearer token, signing secret 1; to encrypt: give workers and page a WEBHOOK_SECRET_KEY (openssl rand -base64 32), then webhooks secrets encrypt")
	out, _, _ = db.program(key, "check")
	with(t, "check with a key", out, "warn  secrets: in plain text in the database: the bearer token, signing secret 1; to encrypt: webhooks secrets encrypt")
	_, errs, status := db.program("", "secrets", "encrypt")
	if status != 2 || !strings.Contains(errs, "WEBHOOK_SECRET_KEY is not set") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	db.program(key, "secrets", "encrypt")
	if got := db.ask(`select token_encrypted_under || ' ' || (select encrypted_under from webhook.secrets) from webhook.settings`); got != idOf(t, key)+" "+idOf(t, key) {
		t.Errorf("encrypted under %s", got)
	}
	out, _, _ = db.program(key, "check")
	if strings.Contains(out, "plain text") {
		t.Errorf("check says\n%s", out)
	}
	if got := db.plainSecrets(key); got != "" {
		t.Errorf("for the page: %q", got)
	}
	out, _, _ = db.program(key, "secrets", "encrypt")
	with(t, "the second time", out, "Nothing to encrypt")
	id := db.publish("contact.created", `{}`)
	db.deliver(key)
	if r := only(t, rcv, id); r.header.Get("Authorization") != "Bearer tok_geheim" || !verifies(t, r, secret) {
		t.Errorf("what arrives is %v", r.header)
	}
}

func TestAtRest_KeysAreRotated(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	one, two := keyOf(1), keyOf(2)
	db, secret := encrypted(t, rcv.URL, one)
	out, _, _ := db.program(two+"\n"+one, "check")
	with(t, "check", out, "warn  secrets: not under the first key of WEBHOOK_SECRET_KEY: the bearer token, signing secret 1; to encrypt: webhooks secrets encrypt")
	id := db.publish("contact.created", `{}`)
	db.deliver(two + "," + one)
	if _, errs, status := db.program(two+","+one, "secrets", "encrypt"); status != 0 {
		t.Fatal(errs)
	}
	again := db.publish("contact.created", `{}`)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(two+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := quick(db.address)
	env["WEBHOOK_SECRET_KEY_FILE"] = file
	runProgram(t, env, nil, "run", "--once")
	for _, each := range []int64{id, again} {
		if got := rcv.of(each); len(got) != 1 || got[0].header.Get("Authorization") != "Bearer tok_geheim" || !verifies(t, got[0], secret) {
			t.Errorf("what arrives is %v", got)
		}
	}
}

func TestAtRest_AMissingKeyHoldsDeliveriesAndLosesNone(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	key := keyOf(1)
	db, _ := encrypted(t, rcv.URL, key)
	once, retried := db.publish("contact.created", `{}`), db.document("42")
	for name, c := range map[string]struct{ key, why string }{
		"no key":      {"", "and its WEBHOOK_SECRET_KEY is not set"},
		"another key": {keyOf(2), "and its WEBHOOK_SECRET_KEY has " + idOf(t, keyOf(2))},
	} {
		w := startWorker(t, quickWith(db, c.key))
		eventually(t, name+": the log says so", func() bool {
			return strings.Contains(w.log.String(), "nothing is delivered, a secret is encrypted under another key")
		})
		problem := "delivers nothing: the bearer token is encrypted under the key " + idOf(t, key) + ", " + c.why + ": add that key"
		with(t, name+": the log", w.log.String(), problem)
		db.explained(once, "waits because the worker ", problem)
		out, _, _ := db.program(c.key, "status")
		with(t, name+": status", out, problem)
		out, _, status := db.program(c.key, "check")
		with(t, name+": check", out, problem, "BAD   secrets: a worker with these settings delivers nothing: the bearer token cannot be decrypted: it is encrypted under a key that WEBHOOK_SECRET_KEY does not have", "signing secret 1 cannot be decrypted")
		if status != 3 {
			t.Errorf("%s: check: exit status %d", name, status)
		}
		w.kill()
		db.exec(`delete from webhook.workers`)
	}
	for name, c := range map[string]struct{ only, says string }{
		"the token alone":         {`update webhook.secrets set ends_at = now()`, "the bearer token is encrypted under the key "},
		"a signing secret alone":  {`update webhook.settings set auth = 'none'`, "signing secret 1 is encrypted under the key "},
		"both of them, once more": {`select 1`, "the bearer token is encrypted under the key "},
	} {
		db.exec(c.only)
		_, errs, _ := db.program("", "run", "--once")
		with(t, name, errs, "nothing is delivered, a secret is encrypted under another key", c.says+idOf(t, key))
		if got := db.ask(`select string_agg(status || attempts, ' ') from webhook.outbox`); got != "pending0 pending0" || len(rcv.all()) != 0 {
			t.Fatalf("%s: the rows are %s, %d requests", name, got, len(rcv.all()))
		}
		db.exec(`update webhook.secrets set ends_at = null; update webhook.settings set auth = 'bearer'`)
	}
	db.deliver(key)
	for _, id := range []int64{once, retried} {
		if got := rcv.of(id); len(got) != 1 || db.status(id) != "sent" {
			t.Errorf("with the key, event %d is %s", id, db.status(id))
		}
	}
}

// Where the page runs, or an administrator, need not have the key.
func TestAtRest_CheckByARoleThatIsNoWorkerNeedsNoKey(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	secrets(t, db, "new")
	key := keyOf(1)
	if _, errs, status := db.program(key, "secrets", "encrypt"); status != 0 {
		t.Fatal(errs)
	}
	who := loginRole(t, db, "webhook_admin", "webhook_reader")
	out, errs, status := runProgram(t, quick(who.address), nil, "check")
	with(t, "check", out+errs, "ok    secrets: encrypted under a key that is not here, so that they are not tried: the bearer token, signing secret 1")
	if status != 0 {
		t.Errorf("exit status %d: %s", status, out)
	}
	db.exec(`update webhook.secrets set secret = left(secret, 60)`)
	out, _, status = runProgram(t, quickWith(who.database, key), nil, "check")
	with(t, "check with the key", out, "BAD   secrets: a worker with these settings delivers nothing: signing secret 1 cannot be decrypted: it was encrypted, and was cut off")
	if status != 3 {
		t.Errorf("exit status %d: %s", status, out)
	}
}

func TestAtRest_ACiphertextThatIsNotItsRowsIsRefused(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	key := keyOf(1)
	db, _ := encrypted(t, rcv.URL, key)
	db.program(key, "secrets", "new")
	secret, token := db.ask(`select secret from webhook.secrets where id = 1`), db.ask(`select bearer_token from webhook.settings`)
	for name, c := range map[string]struct{ break_, repair, want string }{
		"another row": {`update webhook.secrets set secret = (select secret from webhook.secrets where id = 2) where id = 1`, `update webhook.secrets set secret = '` + secret + `' where id = 1`,
			"cannot call: signing secret 1 cannot be decrypted: it was encrypted, and was cut off, changed, or copied from another row since; make another: webhooks secrets new, then webhooks secrets retire 1; nothing was sent"},
		"a truncated secret": {`update webhook.secrets set secret = left(secret, 60) where id = 1`, `update webhook.secrets set secret = '` + secret + `' where id = 1`, "cannot call: signing secret 1 cannot be decrypted"},
		"another column": {`update webhook.settings set bearer_token = '` + secret + `'`, `update webhook.settings set bearer_token = '` + token + `'`,
			"cannot call: the bearer token cannot be decrypted: it was encrypted, and was cut off, changed, or copied from another row since; set it again; nothing was sent"},
		"a truncated token": {`update webhook.settings set bearer_token = left(bearer_token, 60)`, `update webhook.settings set bearer_token = '` + token + `'`, "cannot call: the bearer token cannot be decrypted"},
	} {
		db.exec(c.break_)
		before := len(rcv.all())
		id := db.publish("contact.created", `{}`)
		_, errs, _ := db.program(key, "run", "--once")
		got := db.ask(fmt.Sprintf(`select concat_ws(' ', status, failure, received, error) from webhook.outbox where id = %d`, id))
		if !strings.HasPrefix(got, "pending config no "+c.want) || len(rcv.all()) != before {
			t.Errorf("%s: the event is %s\n%s", name, got, errs)
		}
		out, _, status := db.program(key, "check")
		with(t, name+": check", out, "BAD   secrets: a worker with these settings delivers nothing: ")
		if status != 3 {
			t.Errorf("%s: check: exit status %d", name, status)
		}
		problem := strings.TrimSuffix(strings.TrimPrefix(c.want, "cannot call: "), "; nothing was sent")
		with(t, name+": check", out, problem)
		out, errs, status = db.program(key, "secrets", "encrypt")
		if status != 1 || !strings.Contains(errs, "secrets encrypt: "+problem) {
			t.Errorf("%s: secrets encrypt: exit status %d: %s%s", name, status, out, errs)
		}
		db.exec(c.repair)
		db.exec(`update webhook.outbox set due_at = now() where status = 'pending'`)
		db.deliver(key)
		if len(rcv.of(id)) != 1 || db.status(id) != "sent" {
			t.Errorf("%s: repaired, the event is %s", name, db.status(id))
		}
	}
}

// A worker that could not decrypt it would deliver nothing.
func TestAtRest_NothingIsEncryptedForAWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'tok_geheim'`)
	w := startWorker(t, quick(db.address))
	eventually(t, "the worker is seen", func() bool { return db.count(`select count(*) from webhook.workers`) == 1 })
	key := keyOf(1)
	for _, word := range []string{"encrypt", "new"} {
		_, errs, status := db.program(key, "secrets", word)
		if status != 1 || !strings.Contains(errs, "does not have the key "+idOf(t, key)+" and would deliver nothing: add the key to its WEBHOOK_SECRET_KEY and start it again first") {
			t.Errorf("%s: exit status %d: %s", word, status, errs)
		}
	}
	if got := db.ask(`select bearer_token || (select count(*) from webhook.secrets) from webhook.settings`); got != "tok_geheim0" {
		t.Errorf("the token is %s", got)
	}
	db.exec(`select webhook.create_roles()`)
	site := newSite(t, db, settings{"WEBHOOK_SECRET_KEY": key})
	form := changed(site.get(settingsPath).form(settingsPath), "token", "tok_neu", "contacts.in_flight", "7")
	page := site.post(settingsPath, form)
	refusal := "Nothing is saved: The worker " + db.ask(`select name from webhook.workers`) + " does not have the key " + idOf(t, key) + " and would deliver nothing"
	if page.status != http.StatusUnprocessableEntity || !strings.Contains(page.text(), refusal) || strings.Contains(page.source, "tok_neu") {
		t.Errorf("the token on the page: %d %s", page.status, page.text())
	}
	if got := db.ask(`select bearer_token || ' ' || (select max_in_flight = 7 from webhook.channels where name = 'contacts') from webhook.settings`); got != "tok_geheim false" {
		t.Errorf("token, and whether another field was saved: %s", got)
	}
	w.kill()
	db.exec(`delete from webhook.workers`)
	if out, errs, status := db.program(key, "secrets", "encrypt"); status != 0 {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
}

func TestAtRest_AKeyThatIsNoneEndsTheCommand(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	short := base64.StdEncoding.EncodeToString([]byte("geheim"))
	for name, c := range map[string]struct {
		set  settings
		want string
	}{
		"too short":   {settings{"WEBHOOK_SECRET_KEY": short}, "WEBHOOK_SECRET_KEY: key 1 of 1 has 6 bytes, 32 were expected"},
		"no base64":   {settings{"WEBHOOK_SECRET_KEY": keyOf(1) + ",geheim!"}, "WEBHOOK_SECRET_KEY: key 2 of 2 is not base64"},
		"no file":     {settings{"WEBHOOK_SECRET_KEY_FILE": file + "s"}, "WEBHOOK_SECRET_KEY_FILE: open "},
		"empty":       {settings{"WEBHOOK_SECRET_KEY_FILE": file}, "WEBHOOK_SECRET_KEY_FILE: there is no key"},
		"two of them": {settings{"WEBHOOK_SECRET_KEY": keyOf(1), "WEBHOOK_SECRET_KEY_FILE": file}, "WEBHOOK_SECRET_KEY is set as well"},
	} {
		for _, command := range [][]string{{"run", "--once"}, {"check"}, {"secrets", "new"}, {"admin"}} {
			env := quick(db.address)
			maps.Copy(env, c.set)
			_, errs, status := runProgram(t, env, nil, command...)
			if status != 2 || !strings.Contains(errs, c.want) || strings.Contains(errs, "geheim") || strings.Contains(errs, short) {
				t.Errorf("%s, %v: exit status %d: %s", name, command, status, errs)
			}
		}
	}
}

// What begins like a ciphertext and is none would be held as one, and a part of it shown as the id of its key.
func TestAtRest_ATokenThatOnlyBeginsLikeACiphertextIsRefused(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	whole := "enc1.0123abcd." + strings.Repeat("A", 39)
	for _, token := range []string{"enc1.", "enc1.geheim", "enc1.0123abcd.geheim", "enc1.GEHEIM12." + strings.Repeat("A", 39), whole[:len(whole)-1], whole + "="} {
		_, err := db.Exec(`update webhook.settings set bearer_token = $1`, token)
		if err == nil || err.Error() != "pq: webhook.settings: bearer_token is cut off, or not encrypted by this program, a token, or one that webhooks secrets encrypt has encrypted, was expected (23514)" {
			t.Errorf("%s: %v", token, err)
		}
	}
	db.exec(`update webhook.settings set bearer_token = '` + whole + `'`)
}
