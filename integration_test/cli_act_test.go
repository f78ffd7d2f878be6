package integration_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// cliCase is a call of the program and what it must say.
type cliCase struct {
	args, stdin string
	status      int
	want        string // on standard output, or with another exit status than 0 on standard error
}

func runCases(t *testing.T, db *database, cases []cliCase) {
	t.Helper()
	for _, c := range cases {
		out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, []byte(c.stdin), words(c.args)...)
		said := out
		if status != 0 {
			said = errs
		}
		if status != c.status || !strings.Contains(said, c.want) {
			t.Errorf("webhooks %s: exit status %d, want %d and %q:\n%s%s", c.args, status, c.status, c.want, out, errs)
		}
	}
}

// words splits a command line; a word in single quotes may have spaces, or be empty.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

func TestSetCommand_ChangesTheSettings(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	runCases(t, db, []cliCase{
		{args: "set contacts --enabled", status: 2, want: "contacts has no URL, so it cannot be on: add --url"},
		{args: "set contacts --url https://hook.example/secret-key --enabled --max-per-second 5 --accept-status 200,202", want: "contacts: on, hook.example, 128 in flight, 5 per second"},
		{args: "set contacts --enabled=off --max-per-second 0", want: "contacts: off, hook.example, 128 in flight, no limit per second"},
		{args: "set contacts --enabled false", status: 2, want: "a switch has its value behind =, such as --enabled=false"},
		{args: "set contacts --enabled=maybe", status: 2, want: `"maybe" is neither on nor off`},
		{args: "set contacts --accept-status 404", status: 2, want: "cannot count as delivered"},
		{args: "set contacts --max-in-flight 0", status: 1, want: "set: max_in_flight is 0, "},
		{args: "set contacts --max-in-flight many", status: 2, want: `"many" is no whole number`},
		{args: "set contacts --url ftp://example.com", status: 1, want: "set: url is "},
		{args: "set contacts", status: 2, want: "nothing to set, expected one of --url, --enabled"},
		{args: "set contact --enabled", status: 2, want: `unknown channel "contact", did you mean "contacts"?`},
		{args: "set --enabled", status: 2, want: "--enabled is a setting of a channel"},
		{args: "set contacts --auth none", status: 2, want: "--auth is a setting of all channels"},
		{args: "set rules --url -", stdin: " https://hook.example/from-stdin\n", want: "rules: off, hook.example"},
		{args: "set rules --url -", status: 2, want: "standard input is empty"},
		{args: "set --auth bearer", status: 2, want: "--auth bearer needs a token"},
		{args: "set --auth bearer --token - --document-base-url https://re.example", stdin: "Bearer geheim-4711\n", want: "auth: bearer, the token is set\ndocument base URL: https://re.example"},
		{args: "set --auth digest", status: 2, want: "unknown auth, expected none or bearer"},
		{args: "set --document-base-url ''", want: "not set: documents wait"},
		{args: "set rules --url ''", want: "rules: off, no URL"},
	})
	want := "contacts|https://hook.example/secret-key|f|{200,202}|128|, bearer|geheim-4711|"
	got := db.ask(`select format('%s|%s|%s|%s|%s|%s, ', c.name, c.url, c.enabled, c.accept_status, c.max_in_flight, c.max_per_second)
		|| format('%s|%s|%s', s.auth, s.bearer_token, s.document_base_url) from webhook.channels c, webhook.settings s where c.name = 'contacts'`)
	if got != want {
		t.Errorf("the settings are %s, want %s", got, want)
	}
	if n := db.count(`select count(*) from webhook.interventions where action = 'settings' and note like '%4711%' or note like '%secret-key%'`); n != 0 {
		t.Errorf("a secret stands in the record of changes")
	}
}

func TestActCommands_ActOnOneEvent(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	id := db.publish("contact.created", `{}`)
	event := fmt.Sprint(id)
	runCases(t, db, []cliCase{
		{args: "cancel x", status: 2, want: `cancel: "x" is no event id`},
		{args: "cancel 999999", status: 1, want: "999999"},
		{args: "resend " + event, status: 1, want: "is pending already"},
		{args: "cancel " + event, want: "cancelled"},
		{args: "cancel " + event, status: 1, want: "hint: webhooks show "},
		{args: "resend " + event, want: "pending"},
		{args: "mark-delivered " + event, status: 2, want: "expected ID NOTE"},
		{args: "mark-delivered " + event + " '  '", status: 1, want: "the note is empty"},
		{args: "mark-delivered " + event + " 'entered by hand'", want: "entered by hand"},
		{args: "resend " + event + " --channel contacts", status: 2, want: "either an ID or a filter"},
		{args: "show " + event, want: "webhook-id: "},
	})
	if got := db.ask(`select string_agg(action, ' ' order by id) from webhook.interventions`); got != "cancel retry mark_delivered" {
		t.Errorf("recorded are %s", got)
	}
}

// rejectedContacts inserts failed events.
func rejectedContacts(db *database, n int) {
	db.exec(`insert into webhook.outbox (event, data, status, attempts, finished_at, http_status, failure, received, error)
		select 'contact.created', '{}', 'failed', 1, now(), 404, 'rejected', 'no', 'HTTP 404' from generate_series(1, $1)`, n)
}

func TestResendCommand_CountsAsksAndResends(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	rejectedContacts(db, 700)
	runCases(t, db, []cliCase{
		{args: "resend", status: 2, want: "expected an ID or a filter"},
		{args: "resend --since then", status: 2, want: "--since: This is no time"},
		{args: "resend --status pending", status: 2, want: "what is pending is sent by itself"},
		{args: "resend --status faild", status: 2, want: `unknown status, did you mean "failed"?`},
		{args: "resend --channel contacts --document= --yes", status: 2, want: "resend: --document: it is empty"},
		{args: "resend --channel contacts --since= --yes", status: 2, want: "resend: --since: it is empty"},
		{args: "resend --document ' ' --yes", status: 2, want: "it is empty"},
		{args: "resend --channel cases", want: "No finished event matches."},
		{args: "resend --channel contacts --dry-run", want: "contacts  700         0                     0         0  off: skipped again\nThe first of them:"},
		{args: "resend --channel contacts", stdin: "y\n", status: 2, want: "standard input is no terminal, so nothing can be confirmed, and nothing was changed: add --yes"},
		{args: "resend --channel contacts --failure timeout --yes", want: "No finished event matches."},
	})
	if n := db.count(`select count(*) from webhook.outbox where status = 'pending'`); n != 0 {
		t.Fatalf("%d events were sent again before that was asked for", n)
	}
	runCases(t, db, []cliCase{{args: "resend --channel contacts --status failed --yes", want: "700 events were sent again."}})
	if n := db.count(`select count(*) from webhook.outbox where status = 'pending'`); n != 700 {
		t.Errorf("%d of 700 events are pending", n)
	}
	runCases(t, db, []cliCase{
		{args: "discard --before tomorrow", status: 2, want: "is no time, expected a date"},
		{args: "discard --channel rules", want: "No pending event matches."},
		{args: "discard --dry-run", want: "700 pending events would be cancelled."},
		{args: "discard", status: 2, want: "add --yes"},
		{args: "discard --channel contacts --yes", want: "700 events were cancelled."},
		{args: "prune --older-than 0s", status: 2, want: "is no duration above zero"},
		{args: "prune", want: "0 events were deleted."},
		{args: "prune --older-than 1us", want: "700 events were deleted."},
	})
	if n := db.count(`select count(*) from webhook.outbox`); n != 0 {
		t.Errorf("%d events are left", n)
	}
}

// TestDiscardCommand_LeavesOutWhatHappensMeanwhile: only what was counted and asked about is cancelled, and a busy
// application does not keep the command from its end.
func TestDiscardCommand_LeavesOutWhatHappensMeanwhile(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	db.exec(`create function public.go_on() returns trigger language plpgsql as $$ begin
		if (select count(*) from webhook.outbox) < 5 then perform webhook.publish('contact.created', '{}'::json); end if; return null; end $$`)
	db.exec(`create trigger go_on after insert on webhook.interventions for each statement execute function public.go_on()`)
	db.publish("contact.created", `{}`)
	runCases(t, db, []cliCase{{args: "discard --channel contacts --yes", want: "1 event was cancelled."}})
	if got := db.ask(`select string_agg(status, ' ' order by id) from webhook.outbox`); !strings.HasPrefix(got, "cancelled pending") {
		t.Errorf("the events are %s", got)
	}
}

func TestResendCommand_InterruptEndsItCleanly(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	rejectedContacts(db, 20000)
	cmd := program(t, settings{"DATABASE_URL": db.address}, "resend", "--channel", "contacts", "--yes")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a batch is sent again", func() bool {
		return db.count(`select count(*) from webhook.operations where done > 0`) == 1
	})
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	var state struct {
		Done    int64
		Stopped bool
	}
	if err := db.Get(&state, `select done, stopped_at is not null as stopped from webhook.operations`); err != nil {
		t.Fatal(err)
	}
	pending := db.count(`select count(*) from webhook.outbox where status = 'pending'`)
	if !state.Stopped || state.Done != int64(pending) || pending == 0 || pending == 20000 {
		t.Errorf("stopped %t, done %d, pending %d", state.Stopped, state.Done, pending)
	}
	want := fmt.Sprintf("resend: interrupted; %d events were sent again, the others are as they were", pending)
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), want) {
		t.Errorf("exit status %d: %s", cmd.ProcessState.ExitCode(), errs.String())
	}
}

func TestOfflineCommand_HoldsAndReleases(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	for _, event := range []string{"contact.created", "audit.log", "audit.log", "rule.executed"} {
		db.publish(event, `{}`)
	}
	runCases(t, db, []cliCase{
		{args: "offline", status: 2, want: "expected on|off"},
		{args: "offline offf", status: 2, want: `did you mean "off"?`},
		{args: "offline off", want: "Offline Mode was off already."},
		{args: "offline on --discard rules", status: 2, want: "--discard goes with off"},
		{args: "offline on", want: "Offline Mode is on: nothing is delivered, every event waits."},
		{args: "offline on", want: "Offline Mode was on already."},
		{args: "offline off --discard audit-log", status: 2, want: `did you mean "audit_log"?`},
		{args: "offline off --discard audit_log", status: 2, want: "add --yes"},
		{args: "offline off --discard audit_log --yes", want: "contacts: 1 waiting, to be delivered\n"},
	})
	if got := db.ask(`select string_agg(status, ' ' order by id) from webhook.outbox`); got != "pending cancelled cancelled pending" {
		t.Errorf("the events are %s", got)
	}
	if got := db.ask(`select offline_mode from webhook.settings`); got != "false" {
		t.Errorf("offline_mode is %s", got)
	}
}

func TestActCommands_NeedTheRoleOfAnAdministrator(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	cancelled := fmt.Sprint(db.publish("contact.created", `{}`))
	reader, administrator := loginRole(t, db, "webhook_reader"), loginRole(t, db, "webhook_admin")
	for _, args := range []string{"cancel " + cancelled, "set contacts --enabled=off", "set --document-base-url https://re.example", "resend --status cancelled --yes",
		"discard --yes", "offline on", "offline off", "prune"} {
		_, errs, status := runProgram(t, settings{"DATABASE_URL": reader.address}, nil, words(args)...)
		if status != 1 || !strings.Contains(errs, "run: grant webhook_admin to ") {
			t.Errorf("a reader: webhooks %s: exit status %d: %s", args, status, errs)
		}
		if _, errs, status := runProgram(t, settings{"DATABASE_URL": administrator.address}, nil, words(args)...); status != 0 {
			t.Errorf("an administrator: webhooks %s: exit status %d: %s", args, status, errs)
		}
	}
}
