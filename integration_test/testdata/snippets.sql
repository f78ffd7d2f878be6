-- The rows that docs/snippets work on, in the tables of docs/snippets/tables.sql: the document of the specification.
insert into contacts (contact_id, name, contact_type, email, phone, description, created_by, created_at, labels) values
  (7, 'Acme Supplies Ltd', 'company', 'ap@acme.com', '+86 21 5555 1234', 'Primary office supplier', 'jean', '2026-03-22 08:29:00Z',
   '{"custom_01": "not this one", "custom_02": "Approved By"}');
insert into extraction_profiles (id, name, field_count, labels) values
  (12, 'Standard Supplier Invoice', 18, '{"custom_01": "PO Number"}');
insert into documents (id, filename, status, doc_type, vendor_name, invoice_number, total_amount, currency, doc_date, due_date, contact_id,
  folder_id, ai_summary, notes, custom_01, custom_02, profile_id, external_refs) values
  (42, 'invoice_march.pdf', 'Approved', 'Standard Supplier Invoice', 'Acme Supplies Ltd', 'INV-2026-0042', 1.00, 'CNY', '2026-03-15',
   '2026-04-15', 7, 3, 'Supplier invoice from Acme for office equipment.', '', 'PO-2026-099', 'Finance Manager', 12,
   '{"salesforce": {"record_id": "001Dn000003XyZA", "record_type": "Account", "record_url": "https://..."}}');
insert into line_items values (42, 1, 'Office Chair', 4, 2500.00, 10000.00, '5100', 13.0, 1300.00);
