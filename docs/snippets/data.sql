-- A time as the specification writes it: 2026-03-22T08:30:00Z.
create function utc(timestamptz) returns text language sql stable
as $$ select to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;

-- The data of contact.created. Of two keys of the same name the last counts: created_at.
create function contact_data(bigint) returns json language sql stable
as $$
  select row_to_json(data)
    from (select c.*, utc(c.created_at) as created_at from contacts c where c.contact_id = $1) data
$$;

-- The data of document.exported.
create function document_data(bigint) returns json language sql stable
as $$
  select row_to_json(data)
    from (select d.*,
                 c.labels         as contact_labels,
                 row_to_json(p)   as extraction_profile,
                 (select json_agg(l order by l.line_number) from line_items l where l.document_id = d.id) as line_items
            from documents d
            left join contacts c on c.contact_id = d.contact_id
            left join extraction_profiles p on p.id = d.profile_id
           where d.id = $1) data
$$;
