begin;

update documents set status = 'Export', total_amount = 12500.00 where id = 42;
select webhook.publish('document.exported', document_data(42));

with entry as (
  insert into audit (action, entity_type, entity_id, "user", details, ip_address)
  values ('document_status_changed', 'document', 42, 'zoé', 'Status changed from "Approved" to "Export"', '192.168.1.10')
  returning audit_id, action, entity_type, entity_id, "user", details, ip_address, utc(logged_at) as logged_at
)
select webhook.publish('audit.log', row_to_json(entry)) from entry;

commit;
