package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// Each file of docs/snippets runs, and does what the text around it says. That the
// Markdown shows these files, and that its SQL runs: markdown_test.go.
//
//	WEBHOOK_TEST_SNIPPETS=all   a snippet whose language is missing is a failure; .ci/run sets it
const docs, snippets = "../docs", "../docs/snippets"

// application is a database with the tables of docs/snippets and their rows.
func application(t *testing.T, endpoint string) *database {
	t.Helper()
	db := ready(t, endpoint)
	for _, file := range []string{snippets + "/tables.sql", snippets + "/data.sql", "testdata/snippets.sql"} {
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

// exported is the payload of document 42, byte for byte.
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

// audited is the payload of the audit entry, by meaning: drivers write é in more than one way.
const audited = `{"schema_version":"2.0","event":"audit.log","timestamp":"%s","audit_id":1,"action":"document_status_changed",` +
	`"entity_type":"document","entity_id":42,"user":"zoé","details":"Status changed from \"Approved\" to \"Export\"",` +
	`"ip_address":"192.168.1.10","logged_at":"%[1]s"}`

func TestSnippets_PublishInTheirOwnTransaction(t *testing.T) {
	t.Parallel()
	for _, i := range interpreters {
		t.Run(i.language, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db := application(t, rcv.URL)
			cmd := i.snippet(t, db.address)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			db.once()
			got := rcv.all()
			if len(got) != 2 {
				t.Fatalf("%d events arrived, expected the document and the audit entry", len(got))
			}
			slices.SortFunc(got, func(a, b receipt) int { return int(a.id() - b.id()) })
			var at string
			if err := db.Get(&at, `select utc(logged_at) from audit`); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(exported, at); got[0].body != want {
				t.Errorf("the document arrived as\n%s\nexpected\n%s", got[0].body, want)
			}
			if want := fmt.Sprintf(audited, at); !sameJSON(t, got[1].body, want) {
				t.Errorf("the entry arrived as\n%s\nexpected, by meaning,\n%s", got[1].body, want)
			}
		})
	}
}

func TestSnippets_PublishNothingWhenTheirTransactionFails(t *testing.T) {
	t.Parallel()
	for _, i := range interpreters {
		t.Run(i.language, func(t *testing.T) {
			t.Parallel()
			db := application(t, "https://hook.example.com")
			db.exec(`alter table audit add constraint refused check (details is null)`) // after the document was published
			cmd := i.snippet(t, db.address)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "refused") {
				t.Errorf("the snippet does not report the error: %v\n%s", err, out)
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

// A pooler in transaction mode, with drivers that prepare statements on the server or send parameters at the start.
func TestSnippets_PublishThroughAPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	db := application(t, "https://hook.example.com")
	address := pooler(t, db.address, "transaction", "ignore_startup_parameters = extra_float_digits")
	for _, i := range interpreters {
		if !slices.Contains([]string{"Python", "Node", "PHP", "Go", "Java", "ActiveRecord"}, i.language) {
			continue
		}
		t.Run(i.language, func(t *testing.T) {
			before := db.count(`select count(*) from webhook.outbox`)
			if out, err := i.snippet(t, address).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := db.count(`select count(*) from webhook.outbox`) - before; n != 2 {
				t.Errorf("%d events", n)
			}
		})
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

func TestSnippets_TriggerFiresOnTheChangeToExportOnly(t *testing.T) {
	t.Parallel()
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
		{"Export, reverted in the same transaction", `begin; update documents set status = 'Export' where id = 42;
			update documents set status = 'Approved' where id = 42; commit`, 0},
		{"Export, then deleted in the same transaction", `begin; insert into documents (id, status) values (43, 'Export');
			delete from documents where id = 43; commit`, 0},
		{"an upload", `insert into documents (id, status) values (43, 'Uploaded')`, 0},
		{"a document that is written in Export", `insert into documents (id, status) values (43, 'Export')`, 1},
		{"a transaction that rolls back", `begin; update documents set status = 'Export' where id = 42; rollback`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := application(t, "https://hook.example.com")
			db.exec(text(t, snippets+"/trigger.sql"))
			db.exec(c.does)
			if n := db.count(`select count(*) from webhook.outbox where event = 'document.exported'`); n != c.want {
				t.Errorf("%d events, expected %d", n, c.want)
			}
		})
	}
}

// The deferred trigger reads the document at commit, with what was written after the change of its
// status.
func TestSnippets_TriggerIncludesLineItemsWrittenAfterTheDocument(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := application(t, rcv.URL)
	db.exec(text(t, snippets+"/trigger.sql"))
	db.exec(`begin;
		insert into documents (id, status) values (43, 'Export');
		insert into line_items (document_id, line_number, amount) values (43, 1, 0.10), (43, 2, 19.90);
		commit`)
	db.once()
	got := rcv.all()
	if len(got) != 1 || !strings.HasSuffix(got[0].body, `"line_items_count":2,"line_items_total":20.00}`) {
		t.Errorf("arrived: %v", got)
	}
}

func TestSnippets_PublishFailsOnlyAsDocumented(t *testing.T) {
	t.Parallel()
	db := application(t, "https://hook.example.com")
	for _, c := range []struct{ what, statement, code string }{
		{"an unknown event", `select webhook.publish('contact.deleted', '{}')`, "23514"},
		{"no object", `select webhook.publish('contact.created', '[]')`, "23514"},
		{"null", `select webhook.publish('contact.created', null)`, "23502"},
		{"the data of a document that does not exist", `select webhook.publish('document.exported', document_data(99))`, "23502"},
		{"no JSON", `select webhook.publish('contact.created', '{')`, "22P02"},
		{"jsonb", `select webhook.publish('contact.created', '{}'::jsonb)`, ""},
		{"jsonb in an insert", `insert into webhook.outbox (event, data) values ('contact.created', '{}'::jsonb)`, ""},
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
