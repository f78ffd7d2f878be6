create function publish_export() returns trigger language plpgsql
as $$
declare
  data json := document_data(new.id);
begin
  if data ->> 'status' = 'Export' then -- it may have left Export, or be gone, in the same transaction
    perform webhook.publish('document.exported', data);
  end if;
  return null;
end $$;

create constraint trigger publish_export_on_update
  after update on documents deferrable initially deferred
  for each row when (new.status = 'Export' and old.status is distinct from new.status)
  execute function publish_export();

create constraint trigger publish_export_on_insert
  after insert on documents deferrable initially deferred
  for each row when (new.status = 'Export')
  execute function publish_export();
