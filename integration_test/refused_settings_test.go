package integration_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// A constraint that fails prints the whole row: of these two tables a URL with its key, or the token.

// violations are statements that violate each constraint of channels and settings, by its name or, for NOT NULL, by
// the column's. "": what refuses the statement forms no row.
var violations = map[string][]string{
	"channels.name":             {`update webhook.channels set name = null`},
	"channels.event":            {`update webhook.channels set event = null`},
	"channels.position":         {`update webhook.channels set position = null`},
	"channels.at_least_once":    {`update webhook.channels set event = 'x' where name = 'rules'`},
	"channels.enabled":          {`update webhook.channels set enabled = null`},
	"channels.accept_status":    {`update webhook.channels set accept_status = null`},
	"channels.max_in_flight":    {`update webhook.channels set max_in_flight = null`},
	"channels.updated_at":       {`insert into webhook.channels (name, event, position, url, example, updated_at) values ('x', 'audit.log', 9, 'https://h/geheim', '{}', null)`},
	"channels.send_traceparent": {`update webhook.channels set send_traceparent = null`},
	"channels.example":          {`update webhook.channels set example = null`},
	"channels_pkey":             {`insert into webhook.channels (name, event, position, url, example) values ('cases', 'audit.log', 9, 'https://h/geheim', '{}')`},
	"channels_event_key":        {`insert into webhook.channels (name, event, position, url, example) values ('x', 'audit.log', 9, 'https://h/geheim', '{}')`},
	"channels_position_key":     {`update webhook.channels set position = 1 where name = 'cases'`},
	"channels_url_is_http_or_https": {`update webhook.channels set url = 'geheim://h/'`, `update webhook.channels set url = ' geheim://h/geheim'`,
		`update webhook.channels set url = E'geheim\nhttps://h/'`, `insert into webhook.channels (name, event, position, url, example) values ('x', 'audit.log', 9, 'geheim', '{}')`},
	"channels_accept_status_lists_2xx_or_409": {`update webhook.channels set accept_status = '{}'`, `update webhook.channels set accept_status = '{200,302}'`, `update webhook.channels set accept_status = '{199}'`,
		`update webhook.channels set accept_status = '{200,null}'`, `update webhook.channels set accept_status = '{null}'`, `update webhook.channels set accept_status = '{{200,201},{202,204}}'`},
	"channels_max_in_flight_is_1_to_1000":   {`update webhook.channels set max_in_flight = 0`, `update webhook.channels set max_in_flight = 1001`},
	"channels_max_per_second_is_1_to_10000": {`update webhook.channels set max_per_second = 0`, `update webhook.channels set max_per_second = 10001`},
	"channels_example_is_an_object":         {`update webhook.channels set example = '[]'`, `update webhook.channels set example = 'null'`},

	"settings.only_row":                           {`update webhook.settings set only_row = null`},
	"settings.offline_mode":                       {`update webhook.settings set offline_mode = null`},
	"settings.auth":                               {`update webhook.settings set auth = null`},
	"settings.instance_id":                        {`update webhook.settings set instance_id = null`},
	"settings.min_retention":                      {`update webhook.settings set min_retention = null`},
	"settings.updated_at":                         {`insert into webhook.settings (bearer_token, updated_at) values ('geheim', null)`},
	"settings_pkey":                               {`insert into webhook.settings (bearer_token) values ('geheim')`},
	"settings_is_one_row":                         {`insert into webhook.settings (only_row, bearer_token) values (false, 'geheim')`, `update webhook.settings set only_row = false`},
	"settings_auth_is_none_or_bearer":             {`update webhook.settings set auth = 'basic'`, `update webhook.settings set auth = 'geheim'`},
	"settings_bearer_token_is_a_header_value":     {`update webhook.settings set bearer_token = E'geheim\r\nX: y'`, `update webhook.settings set bearer_token = E'\tgeheim\tb'`, `update webhook.settings set bearer_token = E'geheim\x7f'`},
	"settings_bearer_token_is_plain_or_encrypted": {`update webhook.settings set bearer_token = 'enc1.'`, `update webhook.settings set bearer_token = 'enc1.geheim'`},
	"settings_document_base_url_is_http_or_https": {`update webhook.settings set document_base_url = 'geheim.example'`, `update webhook.settings set document_base_url = 'https:///geheim'`,
		`update webhook.settings set document_base_url = 'https:// geheim'`},
	"settings_environment_is_a_name":   {`update webhook.settings set environment = ''`, `update webhook.settings set environment = 'a geheim'`},
	"settings_min_retention_is_from_0": {`update webhook.settings set min_retention = '-1 day'`},

	"secrets.id":            {`insert into webhook.secrets (id, kind, secret) values (null, 'hmac', 'whsec_Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt')`},
	"secrets.kind":          {`update webhook.secrets set kind = null`},
	"secrets.secret":        {`update webhook.secrets set secret = null`},
	"secrets.created_at":    {`update webhook.secrets set created_at = null`},
	"secrets.actor":         {`update webhook.secrets set actor = null`},
	"secrets_pkey":          {`insert into webhook.secrets (id, kind, secret) values (1, 'hmac', 'whsec_Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt')`},
	"secrets_kind_is_known": {`update webhook.secrets set kind = 'geheim'`, `insert into webhook.secrets (kind, secret) values ('rsa', 'whsec_Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt')`},
	"secrets_secret_is_one_of_its_kind": {`update webhook.secrets set secret = 'geheim'`, `update webhook.secrets set secret = ''`, `update webhook.secrets set kind = 'ed25519'`,
		`update webhook.secrets set secret = 'whsec_geheim'`, `update webhook.secrets set secret = 'whsec_geheim!'`, `update webhook.secrets set secret = 'whsec_geheim geheim'`,
		`update webhook.secrets set secret = 'enc1.geheim'`, `update webhook.secrets set secret = 'enc1.0123abcd.geheim'`},

	"": {
		`update webhook.channels set max_in_flight = 'abc'`, `update webhook.channels set max_in_flight = 99999999999`, `update webhook.channels set accept_status = '{abc}'`, `update webhook.channels set accept_status = '200'`,
		`update webhook.channels set enabled = 'perhaps'`, `update webhook.channels set example = '{'`, `update webhook.channels set url_problem = null`, `update webhook.channels set at_least_once = null`,
		`update webhook.settings set min_retention = 'long'`, `update webhook.settings set instance_id = 'x'`, `update webhook.settings set offline_mode = 'maybe'`,
	},
}

// everything that an error says, to the client and, with the statement, in the server's log.
func everything(pe *pq.Error) string {
	return strings.Join([]string{pe.Message, pe.Detail, pe.Hint, pe.Where, pe.InternalQuery}, "\n")
}

// constraintsOf are the constraints of the two tables, named as in violations.
func constraintsOf(db *database) (all []string) {
	db.t.Helper()
	if err := db.Select(&all, `
		select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
		 where c.oid in ('webhook.channels'::regclass, 'webhook.settings'::regclass, 'webhook.secrets'::regclass) and a.attnum > 0 and a.attnotnull
		union all
		select conname from pg_constraint where conrelid in ('webhook.channels'::regclass, 'webhook.settings'::regclass, 'webhook.secrets'::regclass) and contype <> 'n'
		union all
		select 'another kind of rule on ' || c.relname from pg_class c
		 where c.oid in ('webhook.channels'::regclass, 'webhook.settings'::regclass, 'webhook.secrets'::regclass)
		   and (exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and not exists (select from pg_constraint k where k.conindid = i.indexrelid))
		        or c.relrowsecurity or exists (select from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = c.oid and t.typtype = 'd'))`); err != nil {
		db.t.Fatal(err)
	}
	return all
}

func TestSettings_EachConstraintRefusesInWordsWithoutASecret(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://user:geheim@h/geheim?key=geheim")
	db.exec(`update webhook.settings set document_base_url = 'https://re.example/geheim'`)
	db.exec(`insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt')`) // geheim, four times
	logged := db.serverLog()
	constraints := constraintsOf(db)
	for _, name := range constraints {
		if len(violations[name]) == 0 {
			t.Errorf("no statement violates %s", name)
		}
	}
	for name, statements := range violations {
		if name != "" && !slices.Contains(constraints, name) {
			t.Errorf("there is no %s", name)
		}
		for _, s := range statements {
			_, err := db.Exec(s)
			var pe *pq.Error
			if !errors.As(err, &pe) {
				t.Errorf("%s: %v", s, err)
				continue
			}
			if said := everything(pe); strings.Contains(said, secret) || strings.Contains(said, "Z2VoZWlt") || strings.Contains(said, "Failing row") {
				t.Errorf("%s: %s", s, said)
			}
			if name == "" || strings.HasSuffix(name, "key") {
				continue // PostgreSQL's own words, which quote one value that is no secret
			}
			if !strings.HasPrefix(pe.Message, "webhook.") || !strings.Contains(pe.Message, " was expected") || pe.Hint == "" {
				t.Errorf("%s: not in words: %s", s, everything(pe))
			}
			if relation, column, isColumn := strings.Cut(name, "."); isColumn && (pe.Code != "23502" || pe.Table != relation || pe.Column != column && column != "at_least_once") || !isColumn && (pe.Code != "23514" || pe.Constraint != name) {
				t.Errorf("%s: %s, table %s, column %s, constraint %s", s, pe.Code, pe.Table, pe.Column, pe.Constraint)
			}
		}
	}
	// PostgreSQL logs the statement itself, which holds what the user has written; no line has more.
	for _, line := range strings.Split(strings.TrimPrefix(db.serverLog(), logged), "\n") {
		if strings.Contains(line, "Failing row") && strings.Contains(line, secret) {
			t.Errorf("in the server's log: %s", line)
		}
	}
}

// serverLog is what the server has logged, where it is one of this machine's own.
func (db *database) serverLog() string {
	db.t.Helper()
	text, err := os.ReadFile(db.ask(`select current_setting('data_directory')`) + "/../log")
	if err != nil {
		db.t.Logf("the server's log is out of reach: the errors alone are judged: %v", err)
	}
	return string(text)
}

// The trigger speaks first; should it ever be missing, the constraints still refuse. Not parallel: their
// words are in the server's log, which the test above reads.
func TestSettings_TheConstraintsAreTheLastWord(t *testing.T) {
	db := ready(t, "https://h")
	db.exec(`alter table webhook.channels disable trigger in_words; alter table webhook.settings disable trigger in_words;
		insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt'); alter table webhook.secrets disable trigger in_words`)
	for name, statements := range violations {
		_, column, isColumn := strings.Cut(name, ".")
		for _, s := range statements {
			_, err := db.Exec(s)
			var pe *pq.Error
			if !errors.As(err, &pe) || isColumn && pe.Column != column || !isColumn && pe.Constraint != name {
				t.Errorf("%s: %v, %s was expected", s, err, name)
			}
		}
	}
}

func TestSettings_ARefusalSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://h")
	for statement, words := range map[string]string{
		`update webhook.channels set max_in_flight = 0`:                                          "webhook.channels: max_in_flight is 0, a number from 1 to 1000 was expected HINT: To stop a channel",
		`update webhook.channels set max_per_second = 0`:                                         "webhook.channels: max_per_second is 0, a number from 1 to 10000, or null for no limit, was expected",
		`update webhook.channels set accept_status = '{200,302}'`:                                "webhook.channels: accept_status is {200,302}, a list of HTTP statuses from 200 to 299, or 409",
		`update webhook.settings set bearer_token = E'Zm9v\nYmFy'`:                               "webhook.settings: bearer_token is no value of a header: character 5 of 9 is a line break (U+000A), a token without control characters",
		`update webhook.settings set bearer_token = E'Zm9v\x1b'`:                                 "character 5 of 5 is a control character (U+001B)",
		`update webhook.settings set auth = 'basic'`:                                             "webhook.settings: auth is unknown, none or bearer",
		`update webhook.settings set document_base_url = 're.example'`:                           "webhook.settings: document_base_url is no URL of HTTP with a host, https://yourinstance.recordengine.ai",
		`update webhook.channels set url = 'hook.eu1.make.com/abc'`:                              "webhook.channels: url is no URL of HTTP, https://... or http://...",
		`update webhook.channels set enabled = null where name='rules'`:                          "webhook.channels: enabled is null, true or false",
		`insert into webhook.secrets (kind, secret) values ('hmac', 'x')`:                        "webhook.secrets: secret is a text without its prefix, whsec_ and 24 to 64 bytes in base64 was expected HINT: Nothing was changed. To make one: webhooks secrets new.",
		`insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_Zm9v YmFy')`:          "webhook.secrets: secret is a text with a space (U+0020) in it, ",
		`insert into webhook.secrets (kind, secret) values ('hmac', E'whsec_Zm9v\nYmFy')`:        "webhook.secrets: secret is a text with a control character (U+000A, a line break) in it, ",
		`insert into webhook.secrets (kind, secret) values ('hmac', 'whsk_Zm9v')`:                "webhook.secrets: secret is a secret of the other kind, ",
		`insert into webhook.secrets (kind, secret) values ('ed25519', 'whpk_Zm9v')`:             "webhook.secrets: secret is a public key, whsk_ and 32 or 64 bytes",
		`insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_Zm9v')`:               "webhook.secrets: secret is 3 bytes long, ",
		`insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_Zm9')`:                "webhook.secrets: secret is not base64 behind its prefix, ",
		`insert into webhook.secrets (kind, secret) values ('ed25519', 'enc1.0123abcd.c2hvcnQ')`: "webhook.secrets: secret is cut off, or not encrypted by this program, ",
	} {
		_, err := db.Exec(statement)
		with(t, statement, complaintOf(err), words)
	}
}

// An event's data are the application's; an error of the database must not copy them into its log.
func TestOutbox_AMissingValueIsRefusedWithoutTheData(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://h")
	app := loginRole(t, db, "webhook_producer")
	for column, values := range map[string]string{
		"event":       `null, '{"iban": "geheim"}', now()`,
		"data":        `'contact.created', null, now()`,
		"occurred_at": `'document.exported', '{"id": 42, "iban": "geheim"}', null`,
	} {
		for who, by := range map[string]*database{"a producer": app.database, "the owner": db} {
			_, err := by.Exec(`insert into webhook.outbox (event, data, occurred_at) values (` + values + `)`)
			var pe *pq.Error
			if !errors.As(err, &pe) || pe.Code != "23502" || pe.Column != column || strings.Contains(everything(pe), secret) || pe.Message != fmt.Sprintf("webhook.outbox: %s is null", column) {
				t.Errorf("%s, %s: %v", who, column, err)
			}
		}
	}
	db.exec(`insert into webhook.outbox (event, data) values ('audit.log', '{"iban": "geheim"}')`)
	for _, column := range []string{"event", "data", "occurred_at"} {
		_, err := db.Exec(`update webhook.outbox set ` + column + ` = null`)
		var pe *pq.Error
		if !errors.As(err, &pe) || pe.Code != "23502" || pe.Column != column || strings.Contains(everything(pe), secret) {
			t.Errorf("the owner sets %s to null: %v", column, err)
		}
	}
	for _, statement := range []string{`insert into webhook.outbox (event, data) values ('x', '{"iban": "geheim"}')`, `insert into webhook.outbox (event, data) values ('audit.log', '["geheim"]')`} {
		if _, err := app.Exec(statement); err == nil || strings.Contains(everything(err.(*pq.Error)), secret) { //nolint:errorlint,forcetypeassert // of lib/pq
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// Events, the worker, and all that is kept beside a channel know it by these two.
func TestChannels_KeepTheirNamesAndEvents(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://user:geheim@h/geheim")
	for _, change := range []string{`name = 'x'`, `event = 'audit.log'`, `name = 'x', event = 'audit.log', max_in_flight = 7`} {
		_, err := db.Exec(`update webhook.channels set ` + change + ` where name = 'contacts'`)
		var pe *pq.Error
		if !errors.As(err, &pe) || pe.Code != "23001" || strings.Contains(everything(pe), secret) {
			t.Errorf("%s: %v", change, err)
			continue
		}
		with(t, change, complaintOf(err), "webhook.channels: the name and the event of a channel cannot be changed", "set enabled = false where name = ")
	}
	db.exec(`update webhook.channels set name = name, event = event, position = position + 100`)
}

// What a person reads when an insert is refused is the sentence and the way to it, not the text of a call with all columns.
func TestOutbox_ARefusedInsertHasAShortContext(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://h")
	app := loginRole(t, db, "webhook_producer")
	for _, s := range []string{
		`insert into webhook.outbox (event, data) values ('x', '{}')`, `select webhook.publish('x', '{}'::jsonb)`,
		`insert into webhook.outbox (event, data) values ('audit.log', '[]')`, `insert into webhook.outbox (event, data) values ('audit.log', null)`,
	} {
		_, err := app.Exec(s)
		var pe *pq.Error
		if !errors.As(err, &pe) || strings.Contains(pe.Where, "state_is_possible") {
			t.Errorf("%s: %v: %s", s, err, everything(pe))
		}
	}
	_, err := db.Exec(`insert into webhook.outbox (event, data, status) values ('audit.log', '{}', 'sending')`)
	var pe *pq.Error
	if !errors.As(err, &pe) || pe.Constraint != "outbox_sending_is_leased" || strings.Contains(pe.Where, "new.leased_until") {
		t.Errorf("a state that is not possible: %v: %s", err, everything(pe))
	}
}
