package integration_test

import "testing"

func TestSchema_EveryObjectHasAComment(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var bare []string
	if err := db.Select(&bare, `
		select format('%s %s', case c.relkind when 'r' then 'table' when 'v' then 'view' else c.relkind::text end, c.relname)
		  from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')
		   and obj_description(c.oid, 'pg_class') is null
		union all
		select format('column %s.%s', c.relname, a.attname)
		  from pg_class c join pg_attribute a on a.attrelid = c.oid
		 where c.relnamespace = 'webhook'::regnamespace and c.relkind in ('r', 'v', 'm', 'p') and a.attnum > 0 and not a.attisdropped
		   and col_description(c.oid, a.attnum) is null
		union all
		select format('function %s', p.oid::regprocedure)
		  from pg_proc p where p.pronamespace = 'webhook'::regnamespace and obj_description(p.oid, 'pg_proc') is null
		union all
		select format('index %s', i.indexrelid::regclass)
		  from pg_index i join pg_class c on c.oid = i.indrelid
		 where c.relnamespace = 'webhook'::regnamespace and obj_description(i.indexrelid, 'pg_class') is null
		   and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
		union all
		select format('constraint %s', k.conname)
		  from pg_constraint k where k.connamespace = 'webhook'::regnamespace and k.contype not in ('p', 'u', 'n') and obj_description(k.oid, 'pg_constraint') is null
		union all
		select format('trigger %s of %s', t.tgname, c.relname)
		  from pg_trigger t join pg_class c on c.oid = t.tgrelid
		 where c.relnamespace = 'webhook'::regnamespace and not t.tgisinternal and obj_description(t.oid, 'pg_trigger') is null
		union all
		select 'the schema' where obj_description('webhook'::regnamespace, 'pg_namespace') is null
		order by 1`); err != nil {
		t.Fatal(err)
	}
	for _, b := range bare {
		t.Errorf("no comment: %s", b)
	}
	if n := db.count(`select count(*) from pg_class where relnamespace = 'webhook'::regnamespace`); n < 10 {
		t.Errorf("only %d relations were looked at", n)
	}
}

func TestSchema_PublicHasNoPrivileges(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var granted []string
	if err := db.Select(&granted, `
		select format('%s on %s', privilege_type, c.relname)
		  from pg_class c cross join lateral aclexplode(c.relacl) a
		 where c.relnamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on column %s.%s', privilege_type, c.relname, att.attname)
		  from pg_class c join pg_attribute att on att.attrelid = c.oid cross join lateral aclexplode(att.attacl) a
		 where c.relnamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on %s', privilege_type, p.oid::regprocedure)
		  from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		 where p.pronamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on the schema', privilege_type)
		  from pg_namespace n cross join lateral aclexplode(n.nspacl) a
		 where n.oid = 'webhook'::regnamespace and a.grantee = 0`); err != nil {
		t.Fatal(err)
	}
	for _, g := range granted {
		t.Errorf("PUBLIC may %s", g)
	}
}

// Many databases grant reading on whatever their owner creates. The token is not for such a role, and who may create
// in the schema could plant a publish that applications call.
func TestSchema_GrantsNothingThatItsOwnerHasPreset(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	other := loginRole(t, db)
	db.exec(`create schema webhook; grant all on schema webhook to ` + other.name + ` with grant option;
		alter default privileges grant all on tables to ` + other.name + `; alter default privileges grant all on functions to ` + other.name + `;
		alter default privileges grant all on sequences to ` + other.name + `; alter default privileges in schema webhook grant select on tables to public`)
	db.migrated()
	other.mayNot(`select bearer_token from webhook.settings`, `select * from webhook.status`, `select webhook.publish('audit.log', '{}')`, `create function webhook.publish(text, text) returns int language sql as 'select 1'`,
		`select nextval('webhook.outbox_id_seq')`)
	if n := db.count(`select count(*) from (
		select relacl as acl, relowner as owner from pg_class where relnamespace = 'webhook'::regnamespace union all select nspacl, nspowner from pg_namespace where nspname = 'webhook'
		union all select proacl, proowner from pg_proc where pronamespace = 'webhook'::regnamespace) o, aclexplode(acl) a where a.grantee <> o.owner`); n != 0 {
		t.Errorf("%d privileges are granted", n)
	}
}
