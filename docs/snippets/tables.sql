-- The tables of these examples. Yours may have other names and more columns.
create table contacts (
  contact_id bigint primary key, name text not null, contact_type text, email text, phone text, first_name text, last_name text,
  description text, created_by text, created_at timestamptz not null default now(),
  labels json                                     -- {"custom_02": "Approved By"}
);
create table extraction_profiles (
  id bigint primary key, name text not null, field_count int not null,
  labels json                                     -- {"custom_01": "PO Number"}
);
create table documents (
  id bigint primary key, filename text, status text not null, doc_type text, vendor_name text, invoice_number text,
  total_amount numeric(14, 2), currency text, doc_date date, due_date date, contact_id bigint references contacts,
  folder_id bigint, ai_summary text, notes text, custom_01 text, custom_02 text,
  profile_id bigint references extraction_profiles,
  external_refs json                              -- {"salesforce": {"record_id": "001Dn000003XyZA"}}
);
create table line_items (
  document_id bigint references documents, line_number int, description text, quantity numeric, unit_price numeric(14, 2),
  amount numeric(14, 2), account_code text, tax_rate numeric(5, 1), tax_amount numeric(14, 2),
  primary key (document_id, line_number)
);
create table audit (
  audit_id bigint generated always as identity primary key, action text, entity_type text, entity_id bigint, "user" text,
  details text, ip_address text, logged_at timestamptz not null default now()
);
