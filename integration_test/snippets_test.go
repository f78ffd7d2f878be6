package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// docs/ is tested: each snippet runs and does what the text around it says,
// each block of Markdown is the file that runs, and each statement of SQL that
// an operator may copy is one that the database takes.
//
//	WEBHOOK_TEST_SNIPPETS=all   a snippet whose language is missing is a failure; .ci/run sets it
const docs, snippets = "../docs", "../docs/snippets"

// interpreter is what a snippet needs on the machine.
type interpreter struct {
	language, file string
	get            string // how to get what is missing
	command        func(t *testing.T, file string) (*exec.Cmd, error)
}

var interpreters = []interpreter{
	{"SQL", "publish.sql", "apt install postgresql-client", psql},
	{"Python", "publish.py", "apt install python3-psycopg, or pip install 'psycopg[binary]'", python},
	{"Node", "publish.mjs", "apt install nodejs node-pg, or npm install pg and set NODE_PATH to its node_modules", node},
	{"PHP", "publish.php", "apt install php-cli php-pgsql", php},
	{"Go", "go/main.go", "Go is what runs this test", goRun},
}

func psql(t *testing.T, file string) (*exec.Cmd, error) {
	path, err := exec.LookPath("psql")
	if err != nil {
		return nil, errors.New("no psql")
	}
	return exec.CommandContext(t.Context(), path, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file), nil
}

// python is the first interpreter that has the driver: beside a python3 of its
// own, a machine may have Debian's, which is the one that has Debian's packages.
func python(t *testing.T, file string) (*exec.Cmd, error) {
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), path, "-c", "import psycopg").Run() == nil {
			return exec.CommandContext(t.Context(), path, file), nil
		}
	}
	return nil, errors.New("no python3 that can import psycopg")
}

// node runs a copy that has the driver in a node_modules beside it, since an
// import looks nowhere else; what the driver itself requires, NODE_PATH finds.
func node(t *testing.T, file string) (*exec.Cmd, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("no node")
	}
	for _, modules := range append(filepath.SplitList(os.Getenv("NODE_PATH")), "/usr/share/nodejs") {
		if _, err := os.Stat(filepath.Join(modules, "pg")); err != nil {
			continue
		}
		dir := t.TempDir()
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		copied := filepath.Join(dir, filepath.Base(file))
		if err := errors.Join(os.WriteFile(copied, source, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(t.Context(), path, copied)
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		return cmd, nil
	}
	return nil, errors.New("no module pg, neither in NODE_PATH nor in /usr/share/nodejs")
}

func php(t *testing.T, file string) (*exec.Cmd, error) {
	modules, err := exec.CommandContext(t.Context(), "php", "-m").Output()
	if err != nil {
		return nil, errors.New("no php")
	}
	if !strings.Contains(string(modules), "pdo_pgsql") {
		return nil, errors.New("php has no pdo_pgsql")
	}
	return exec.CommandContext(t.Context(), "php", file), nil
}

func goRun(t *testing.T, file string) (*exec.Cmd, error) {
	return exec.CommandContext(t.Context(), "go", "run", file), nil
}

// snippet is the command that runs a snippet, or nil where the machine has not
// what it needs.
func (i interpreter) snippet(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	cmd, err := i.command(t, filepath.Join(snippets, i.file))
	if err != nil {
		say := t.Logf
		if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
			say = t.Errorf
		}
		say("docs/snippets/%s was not run: %v; to get it: %s", i.file, err, i.get)
		return nil
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+address, "PGTZ=Asia/Shanghai")
	if i.language == "SQL" {
		cmd.Args = append(cmd.Args, address)
	}
	return cmd
}

// application is a database with the tables of docs/snippets and their rows.
func application(t *testing.T, endpoint string) *database {
	t.Helper()
	db := ready(t, endpoint)
	for _, file := range []string{snippets + "/tables.sql", snippets + "/facts.sql", "testdata/snippets.sql"} {
		db.exec(text(t, file))
	}
	return db
}

func text(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// exported is what a receiver gets of document 42, byte for byte.
const exported = `{"schema_version":"2.0","event":"document.exported","timestamp":"%s","document":{"id":42,` +
	`"doc_url":"https://yourinstance.recordengine.ai/api/document/42/view","filename":"invoice_march.pdf","status":"Export",` +
	`"doc_type":"Standard Supplier Invoice","vendor_name":"Acme Supplies Ltd","invoice_number":"INV-2026-0042",` +
	`"total_amount":12500.00,"currency":"CNY","doc_date":"2026-03-15","due_date":"2026-04-15","contact_id":7,"folder_id":3,` +
	`"ai_summary":"Supplier invoice from Acme for office equipment.","notes":"",` +
	`"custom_fields":{"PO Number":"PO-2026-099","Approved By":"Finance Manager"},"custom_01":"PO-2026-099","custom_02":"Finance Manager",` +
	`"custom_03":null,"custom_04":null,"custom_05":null,"custom_06":null,"custom_07":null,"custom_08":null,"custom_09":null,` +
	`"custom_10":null,"custom_11":null,"custom_12":null,"custom_13":null,"custom_14":null,"custom_15":null,"custom_16":null,` +
	`"custom_17":null,"custom_18":null,"custom_19":null,"custom_20":null,` +
	`"extraction_profile":{"id":12,"name":"Standard Supplier Invoice","field_count":18},` +
	`"external_refs":{"salesforce":{"record_id":"001Dn000003XyZA","record_type":"Account","record_url":"https://..."}}},` +
	`"line_items":[{"line_number":1,"description":"Office Chair","quantity":4,"unit_price":2500.00,"amount":10000.00,` +
	`"account_code":"5100","tax_rate":13.0,"tax_amount":1300.00}],"line_items_count":1,"line_items_total":10000.00}`

// audited is the entry of the audit trail, by meaning: drivers write é in more than one way.
const audited = `{"schema_version":"2.0","event":"audit.log","timestamp":"%s","audit_id":1,"action":"document_status_changed",` +
	`"entity_type":"document","entity_id":42,"user":"zoé","details":"Status changed from \"Approved\" to \"Export\"",` +
	`"ip_address":"192.168.1.10","logged_at":"%[1]s"}`

func TestSnippetsPublishInTheTransactionOfTheirOwnChange(t *testing.T) {
	for _, i := range interpreters {
		t.Run(i.language, func(t *testing.T) {
			rcv := newReceiver(t, nil)
			db := application(t, rcv.URL)
			cmd := i.snippet(t, db.address)
			if cmd == nil {
				return
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			deliverOnce(t, db)
			got := rcv.all()
			if len(got) != 2 {
				t.Fatalf("%d events arrived, the document and the entry of the audit trail were expected", len(got))
			}
			slices.SortFunc(got, func(a, b receipt) int { return int(a.id() - b.id()) })
			var at string
			if err := db.Get(&at, `select utc(logged_at) from audit`); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(exported, at); got[0].body != want {
				t.Errorf("the document arrived as\n%s\nexpected was\n%s", got[0].body, want)
			}
			if want := fmt.Sprintf(audited, at); !sameJSON(t, got[1].body, want) {
				t.Errorf("the entry arrived as\n%s\nexpected was, by meaning,\n%s", got[1].body, want)
			}
		})
	}
}

func TestSnippetsPublishNothingWhenTheirTransactionFails(t *testing.T) {
	for _, i := range interpreters {
		t.Run(i.language, func(t *testing.T) {
			db := application(t, "https://hook.example.com")
			db.exec(`alter table audit add constraint refused check (details is null)`) // after the document was published
			cmd := i.snippet(t, db.address)
			if cmd == nil {
				return
			}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "refused") {
				t.Errorf("the snippet does not tell of the error: %v\n%s", err, out)
			}
			if n := db.count(`select count(*) from webhook.outbox`); n != 0 {
				t.Errorf("%d events of a transaction that failed", n)
			}
			if n := db.count(`select count(*) from documents where status = 'Export'`); n != 0 {
				t.Error("the snippet's own change was not rolled back")
			}
		})
	}
}

// deliverOnce runs the worker until nothing is due.
func deliverOnce(t *testing.T, db *database) {
	t.Helper()
	if _, stderr, status := runProgram(t, quick(db.address), nil, "run", "--once"); status != 0 {
		t.Fatalf("webhooks run --once: exit status %d\n%s", status, stderr)
	}
}

func sameJSON(t *testing.T, one, other string) bool {
	t.Helper()
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(one), &a), json.Unmarshal([]byte(other), &b)); err != nil {
		t.Error(err)
	}
	return reflect.DeepEqual(a, b)
}

func TestTriggerFiresOnTheChangeToExportOnly(t *testing.T) {
	for _, c := range []struct {
		name, does string
		want       int
	}{
		{"the change to Export", `update documents set status = 'Export' where id = 42`, 1},
		{"another change of status", `update documents set status = 'Approved' where id = 42`, 0},
		{"a change of another column", `update documents set notes = 'seen' where id = 42`, 0},
		{"a change of a document that is in Export", `update documents set status = 'Export' where id = 42; commit;
			update documents set notes = 'seen', status = 'Export' where id = 42`, 1},
		{"out of Export and into it again", `update documents set status = 'Export' where id = 42; commit;
			update documents set status = 'Approved' where id = 42; commit; update documents set status = 'Export' where id = 42`, 2},
		{"Export, taken back in the same transaction", `begin; update documents set status = 'Export' where id = 42;
			update documents set status = 'Approved' where id = 42; commit`, 0},
		{"Export, then deleted in the same transaction", `begin; insert into documents (id, status) values (43, 'Export');
			delete from documents where id = 43; commit`, 0},
		{"an upload", `insert into documents (id, status) values (43, 'Uploaded')`, 0},
		{"a document that is written in Export", `insert into documents (id, status) values (43, 'Export')`, 1},
		{"a transaction that rolls back", `begin; update documents set status = 'Export' where id = 42; rollback`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := application(t, "https://hook.example.com")
			db.exec(text(t, snippets+"/trigger.sql"))
			db.exec(c.does)
			if n := db.count(`select count(*) from webhook.outbox where event = 'document.exported'`); n != c.want {
				t.Errorf("%d events, expected %d", n, c.want)
			}
		})
	}
}

// The deferred trigger reads the document at commit, with what was written after the change of its status.
func TestTriggerSeesLineItemsThatAreWrittenAfterTheDocument(t *testing.T) {
	rcv := newReceiver(t, nil)
	db := application(t, rcv.URL)
	db.exec(text(t, snippets+"/trigger.sql"))
	db.exec(`begin;
		insert into documents (id, status) values (43, 'Export');
		insert into line_items (document_id, line_number, amount) values (43, 1, 0.10), (43, 2, 19.90);
		commit`)
	deliverOnce(t, db)
	got := rcv.all()
	if len(got) != 1 || !strings.HasSuffix(got[0].body, `"line_items_count":2,"line_items_total":20.00}`) {
		t.Errorf("arrived: %v", got)
	}
}

func TestReceiverOfTheDocumentationStoresEachEventOnce(t *testing.T) {
	i := interpreter{"Python", "receive.py", "apt install python3-psycopg, or pip install 'psycopg[binary]'", python}
	db := open(t, newDatabase(t))
	db.exec(text(t, snippets+"/receive.sql"))
	cmd := i.snippet(t, db.address)
	if cmd == nil {
		return
	}
	endpoint := startReceiver(t, cmd)
	body := `{"schema_version":"2.0","event":"contact.created","name":"发票"}`
	for _, c := range []struct {
		what, token, id string
		status, rows    int
	}{
		{"no token", "", "a-1", 401, 0},
		{"a wrong token", "Bearer wrong", "a-1", 401, 0},
		{"a first attempt", "Bearer secret", "a-1", 204, 1},
		{"the same again", "Bearer secret", "a-1", 204, 1},
		{"another event", "Bearer secret", "a-2", 204, 2},
	} {
		if got := post(t, endpoint, c.token, c.id, body); got != c.status {
			t.Errorf("%s: answered with %d, expected %d", c.what, got, c.status)
		}
		if n := db.count(`select count(*) from received`); n != c.rows {
			t.Errorf("%s: %d rows, expected %d", c.what, n, c.rows)
		}
	}
	var stored string
	if err := db.Get(&stored, `select body from received where webhook_id = 'a-1'`); err != nil || stored != body {
		t.Errorf("stored: %q, %v", stored, err)
	}
	db.exec(`drop table received`)
	if got := post(t, endpoint, "Bearer secret", "a-3", body); got != 503 {
		t.Errorf("without its table it answers with %d, so that the sender takes the event for delivered", got)
	}
}

// startReceiver runs a receiver on a free port until the test ends.
func startReceiver(t *testing.T, cmd *exec.Cmd) (endpoint string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	var said logBuffer
	cmd.Env = append(cmd.Env, "WEBHOOK_TOKEN=secret", fmt.Sprintf("PORT=%d", address.Port))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the receiver said:\n%s", said.String())
		}
	})
	eventually(t, "the receiver listens", func() bool {
		conn, err := net.Dial("tcp", address.String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "http://" + address.String() + "/"
}

func post(t *testing.T, endpoint, token, id, body string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", id)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// block is a fenced block of a Markdown file.
type block struct {
	file           string
	line           int // of the first line inside
	language, text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", filepath.Base(b.file), b.line) }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)\n```$")

// blocks are the fenced blocks of the README and of docs/*.md.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, file := range markdown(t) {
		content := text(t, file)
		for _, m := range fence.FindAllStringSubmatchIndex(content, -1) {
			all = append(all, block{file, 1 + strings.Count(content[:m[4]], "\n"), content[m[2]:m[3]], content[m[4] : m[5]+1]})
		}
	}
	return all
}

func markdown(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(docs + "/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Markdown in %s: %v", docs, err)
	}
	return append(files, "../README.md")
}

func TestMarkdownShowsTheSnippetsThatRun(t *testing.T) {
	shown := map[string]bool{}
	for _, b := range blocks(t) {
		shown[b.text] = true
	}
	files := map[string]bool{}
	err := filepath.WalkDir(snippets, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content := text(t, path)
		files[content] = true
		if !shown[content] {
			t.Errorf("no block of docs/*.md is the text of %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(t) {
		if slices.Contains([]string{"python", "js", "php", "go"}, b.language) && !files[b.text] {
			t.Errorf("%s: this block is no file of docs/snippets, so that nothing runs it", b)
		}
	}
}

// readmeDots are what the README leaves to its reader.
var readmeDots = strings.NewReplacer(
	`insert into contacts (…) values (…)`, `insert into contacts (contact_id, name) values (8, 'Example Ltd')`)

// ownTransaction is a transaction inside a block: the test runs one around it.
var ownTransaction = regexp.MustCompile(`(?m)^(begin|commit);$`)

func TestEveryStatementOfTheMarkdownRuns(t *testing.T) {
	db := application(t, "https://hook.example.com")
	db.exec(text(t, snippets+"/receive.sql"))
	db.exec(text(t, "testdata/snippets_outbox.sql"))
	n := 0
	for _, b := range blocks(t) {
		if b.language != "sql" {
			continue
		}
		n++
		t.Run(b.String(), func(t *testing.T) {
			statements := b.text
			if filepath.Base(b.file) == "README.md" {
				statements = readmeDots.Replace(statements)
			}
			if err := rolledBack(t.Context(), db, ownTransaction.ReplaceAllString(statements, "")); err != nil {
				t.Errorf("%s\n%s", complaint(err), b.text)
			}
		})
	}
	if n < 20 {
		t.Errorf("%d blocks of SQL were found: has the Markdown changed its fences?", n)
	}
}

// rolledBack runs statements in a transaction that leaves nothing behind: what
// they create goes into a schema of its own, before the tables that are there.
func rolledBack(ctx context.Context, db *database, statements string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var before, after string
	if err := tx.GetContext(ctx, &before, `select pg_current_xact_id()::text`); err != nil {
		return err
	}
	for _, s := range []string{
		`create schema fresh; set local search_path = fresh, public; select webhook.create_roles()`,
		statements,
		`set constraints all immediate`,
	} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := tx.GetContext(ctx, &after, `select pg_current_xact_id()::text`); err != nil {
		return err
	}
	if before != after {
		return errors.New("the block ends the test's transaction: begin; and commit; must stand alone on their lines")
	}
	return nil
}

// complaint is an error with what the database adds to it.
func complaint(err error) string {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return err.Error()
	}
	return fmt.Sprintf("%s (%s) %s %s at %s", pe.Message, pe.Code, pe.Detail, pe.Hint, pe.Position)
}

// What the program's own help lists, the operator's page explains.
func TestOperatorsPageNamesEverySetting(t *testing.T) {
	stdout, _, _ := runProgram(t, nil, nil, "help")
	page := text(t, docs+"/operate.md")
	names := regexp.MustCompile(`(?m)^  (DATABASE_URL|WEBHOOK_[A-Z_]+) `).FindAllStringSubmatch(stdout, -1)
	if len(names) < 5 {
		t.Fatalf("webhooks help lists %d settings:\n%s", len(names), stdout)
	}
	for _, name := range names {
		if !strings.Contains(page, "`"+name[1]+"`") {
			t.Errorf("docs/operate.md does not name %s", name[1])
		}
	}
}

func TestLinksOfTheMarkdownLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, file := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text(t, file), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}

func TestPublishFailsOnlyAsTheDocumentationSays(t *testing.T) {
	db := application(t, "https://hook.example.com")
	for _, c := range []struct{ what, statement, code string }{
		{"an unknown event", `select webhook.publish('contact.deleted', '{}')`, "23514"},
		{"no object", `select webhook.publish('contact.created', '[]')`, "23514"},
		{"null", `select webhook.publish('contact.created', null)`, "23502"},
		{"the facts of a document that does not exist", `select webhook.publish('document.exported', document_facts(99))`, "23502"},
		{"no JSON", `select webhook.publish('contact.created', '{')`, "22P02"},
		{"jsonb", `select webhook.publish('contact.created', '{}'::jsonb)`, "42883"},
		{"jsonb that is cast", `select webhook.publish('contact.created', '{}'::jsonb::json)`, ""},
		{"U+0000", `select webhook.publish('document.exported', '{"id": 42, "notes": "\u0000"}')`, ""},
		{"a strange id", `select webhook.publish('document.exported', '{"id": [42]}')`, ""},
		{"a document that is not in Export", `select webhook.publish('document.exported', '{"id": 42, "status": "Approved"}')`, ""},
		{"an amount that is a string", `select webhook.publish('document.exported', '{"id": 42, "status": "Export", "line_items": [{"amount": "1"}]}')`, ""},
	} {
		_, err := db.Exec(c.statement)
		var code string
		var pe *pq.Error
		if errors.As(err, &pe) {
			code = string(pe.Code)
		}
		if code != c.code {
			t.Errorf("%s: %v, expected SQLSTATE %q", c.what, err, c.code)
		}
	}
}
