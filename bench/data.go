package main

import (
	"context"
	"fmt"
)

// payloadBytes is the size of a payload unless another is asked for.
const payloadBytes = 1400

// kinds are the data of each kind of event, as SQL expressions of n and of
// filler: what a channel sends, and nothing else, so that the row and the
// payload are of about the same size. The number is the payload without filler.
var kinds = map[string]struct {
	data  string
	frame int
}{
	"document.exported": {`json_build_object('id', n, 'filename', 'invoice_' || n || '.pdf', 'status', 'Export', 'doc_type', 'Invoice',
		'vendor_name', 'Acme Supplies Ltd', 'invoice_number', 'INV-' || n, 'total_amount', 12500.00, 'currency', 'USD', 'contact_id', 7,
		'notes', filler, 'custom_01', 'PO-' || n, 'custom_02', 'Engineering',
		'extraction_profile', json_build_object('id', 3, 'name', 'Invoices', 'field_count', 2,
			'labels', json_build_object('custom_01', 'PO Number', 'custom_02', 'Department')),
		'line_items', json_build_array(json_build_object('line_number', 1, 'description', 'Steel', 'amount', 10000.00),
			json_build_object('line_number', 2, 'description', 'Freight', 'amount', 2500.00)))`, 1290},
	"audit.log":            {`json_build_object('audit_id', n, 'action', 'document_status_changed', 'user', 'jean', 'details', filler)`, 230},
	"contact.created":      {`json_build_object('contact_id', n, 'name', 'Acme Supplies Ltd', 'description', filler)`, 290},
	"folder.created":       {`json_build_object('folder_id', n, 'name', 'Invoices', 'description', filler)`, 230},
	"case.created":         {`json_build_object('case_id', n, 'title', 'Late delivery', 'description', filler)`, 360},
	"notification.created": {`json_build_object('notification_id', n, 'type', 'info', 'message', filler)`, 260},
	"rule.executed":        {`json_build_object('rule_id', n, 'rule_name', 'Route invoices', 'error_message', filler)`, 320},
}

// dataOf is an SQL expression of n and filler, and the filler's length for a payload
// of that size.
func dataOf(event string, size int) (expression string, filler int) {
	kind := kinds[event]
	return kind.data, max(size-kind.frame, 1)
}

// fill writes a backlog in one transaction.
func (s *stage) fill(ctx context.Context, event string, n, size int) error {
	expression, filler := dataOf(event, size)
	return s.exec(ctx, fmt.Sprintf(`
		with text as materialized (
		  select left(string_agg(md5(i::text), ''), %d) as filler from generate_series(0, %[1]d / 32) i
		)
		insert into webhook.outbox (event, data)
		select '%s', %s from text cross join generate_series(1, %d) n`, filler, event, expression, n))
}

// settle leaves a filled database as it is an hour later: no work of the fill remains
// for a checkpoint or for autovacuum.
func (s *stage) settle(ctx context.Context) error {
	return s.exec(ctx, `vacuum (analyze) webhook.outbox`, `checkpoint`)
}
