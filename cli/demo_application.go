package cli

// The application of the demo: a few tables as RecordEngine may have them, and
// what its transactions do. Their data are the examples of the specification.

const demoTables = `
	create schema app;
	create table app.contacts (contact_id int primary key, name text, contact_type text, email text, phone text,
	  first_name text, last_name text, description text, created_by text, created_at text, internal_rating int);
	create table app.folders (folder_id int primary key, contact_id int, name text, description text, is_root boolean,
	  created_by text, created_at text);
	create table app.documents (id int primary key, filename text, status text, doc_type text, vendor_name text,
	  invoice_number text, total_amount numeric(12, 2), currency text, doc_date date, due_date date, contact_id int,
	  folder_id int, ai_summary text, notes text, custom_01 text, custom_02 text);
	create table app.cases (case_id int primary key, title text, status text, priority text, assigned_to text, contact_id int,
	  contact_name text, document_id int, due_date date, description text, created_by text, created_at text, updated_at text);
	create table app.notifications (notification_id int primary key, type text, title text, message text, is_read boolean,
	  document_id int, contact_id int, created_at text);
	create table app.rule_runs (rule_id int primary key, rule_name text, trigger_type text, action_type text, action_taken text,
	  condition_matched text, success boolean, error_message text, document_id int, document_filename text);
	create table app.audit (audit_id int primary key, action text, entity_type text, entity_id int, "user" text, details text,
	  ip_address text, logged_at text);
	insert into app.documents values (42, 'invoice_march.pdf', 'Approved', 'Standard Supplier Invoice', 'Acme Supplies Ltd',
	  'INV-2026-0042', 12500.00, 'CNY', '2026-03-15', '2026-04-15', 7, 3, 'Supplier invoice from Acme for office equipment.', '',
	  'PO-2026-099', 'Finance Manager')`

// demoTransaction is one transaction of the application: its own change, and
// the one line that publishes the event.
type demoTransaction struct {
	what, change, publish string
	rollBack              bool
}

var demoTransactions = []demoTransaction{
	{
		what: "create contact 7, Acme Supplies Ltd",
		change: `insert into app.contacts values (7, 'Acme Supplies Ltd', 'company', 'ap@acme.com', '+86 21 5555 1234', null, null,
			'Primary office supplier', 'jean', '2026-03-22T08:29:00Z', 5)`,
		publish: `select webhook.publish('contact.created', row_to_json(c)) from app.contacts c where contact_id = 7`,
	}, {
		what:    "create folder 12, Q1 2026 Invoices",
		change:  `insert into app.folders values (12, 7, 'Q1 2026 Invoices', '', false, 'jean', '2026-03-22T08:29:00Z')`,
		publish: `select webhook.publish('folder.created', row_to_json(f)) from app.folders f where folder_id = 12`,
	}, {
		what:   "set document 42 to Export",
		change: `update app.documents set status = 'Export' where id = 42`,
		publish: `select webhook.publish('document.exported', (to_jsonb(d) || jsonb_build_object(
			'extraction_profile', jsonb_build_object('id', 12, 'name', 'Standard Supplier Invoice', 'field_count', 18,
			  'labels', jsonb_build_object('custom_01', 'PO Number', 'custom_02', 'Approved By')),
			'line_items', jsonb_build_array(jsonb_build_object('line_number', 1, 'description', 'Office Chair', 'quantity', 4,
			  'unit_price', 2500.00, 'amount', 10000.00, 'account_code', '5100', 'tax_rate', 13.0, 'tax_amount', 1300.00))))::json)
			from app.documents d where id = 42`,
	}, {
		what:     "create contact 8, Ghost Ltd",
		change:   `insert into app.contacts (contact_id, name) values (8, 'Ghost Ltd')`,
		publish:  `select webhook.publish('contact.created', row_to_json(c)) from app.contacts c where contact_id = 8`,
		rollBack: true,
	}, {
		what: "open case 5, Missing tax ID",
		change: `insert into app.cases values (5, 'Missing tax ID on fapiao batch', 'open', 'high', 'jean', 7, 'Acme Supplies Ltd', 42,
			'2026-03-28', 'Three fapiaos in the Q1 batch are missing the buyer tax ID.', 'jean', '2026-03-22T08:30:00Z', '2026-03-22T08:30:00Z')`,
		publish: `select webhook.publish('case.created', row_to_json(c)) from app.cases c where case_id = 5`,
	}, {
		what: "notify: document requires review",
		change: `insert into app.notifications values (88, 'document_ready', 'Document requires review',
			'invoice_march.pdf confidence score is below threshold.', false, 42, 7, '2026-03-22T08:30:00Z')`,
		publish: `select webhook.publish('notification.created', row_to_json(n)) from app.notifications n where notification_id = 88`,
	}, {
		what: "rule 3 fires: auto-approve",
		change: `insert into app.rule_runs values (3, 'Auto-approve low-value invoices', 'event', 'set_status', 'Set status to Approved',
			'total_amount < 1000', true, null, 42, 'invoice_march.pdf')`,
		publish: `select webhook.publish('rule.executed', row_to_json(r)) from app.rule_runs r where rule_id = 3`,
	}, {
		what: "write audit entry 1024",
		change: `insert into app.audit values (1024, 'document_status_changed', 'document', 42, 'jean',
			'Status changed from Approved to Export', '192.168.1.10', '2026-03-22T08:30:00Z')`,
		publish: `select webhook.publish('audit.log', row_to_json(a)) from app.audit a where audit_id = 1024`,
	},
}
