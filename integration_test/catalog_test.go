package integration_test

import (
	"strings"
	"testing"
)

// catalog is the whole schema as the database has it, one line per object, and the rows that it brings along: what
// two ways to the same version must have in common.
func (db *database) catalog() string {
	db.t.Helper()
	address := db.addressWith("standard_conforming_strings", "on") // else backslashes are shown in another way
	return query[string](db.t, address, `
		select string_agg(replace(line, e'\n', '⏎'), e'\n' order by line) from (
		  select format('relation %s %s %s %s %s %s', c.relname, c.relkind, c.relpersistence, c.reloptions, array(select a::text from unnest(c.relacl) a order by 1), obj_description(c.oid, 'pg_class')) as line
		    from pg_class c where c.relnamespace = 'webhook'::regnamespace
		  union all
		  select format('column %s.%s %s %s %s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
		                array(select x::text from unnest(a.attacl) x order by 1), pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
		    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		   where c.relnamespace = 'webhook'::regnamespace
		  union all
		  select format('view %s %s', c.relname, pg_get_viewdef(c.oid)) from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind = 'v'
		  union all
		  select format('index %s', pg_get_indexdef(c.oid)) from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind = 'i'
		  union all
		  select format('constraint %s.%s %s %s %s', c.conrelid::regclass, c.conname, c.convalidated, pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint')) from pg_constraint c where c.connamespace = 'webhook'::regnamespace
		  union all
		  select format('trigger %s %s %s', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
		    from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'webhook'::regnamespace and not t.tgisinternal
		  union all
		  select format('function %s %s %s', pg_get_functiondef(p.oid), array(select a::text from unnest(p.proacl) a order by 1), obj_description(p.oid, 'pg_proc')) from pg_proc p where p.pronamespace = 'webhook'::regnamespace
		  union all
		  select format('schema %s %s', n.nspacl, obj_description(n.oid, 'pg_namespace')) from pg_namespace n where n.nspname = 'webhook'
		  union all
		  select format('channel %s %s %s %s %s %s', position, name, event, at_least_once, max_in_flight, example) from webhook.channels
		  union all
		  select format('version %s %s', version, min_worker) from webhook.schema_versions) x`)
}

// sameCatalog shows the lines that differ.
func sameCatalog(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	seen := map[string]int{}
	for _, line := range strings.Split(got, "\n") {
		seen[line]++
	}
	for _, line := range strings.Split(want, "\n") {
		if seen[line]--; seen[line] < 0 {
			t.Errorf("%s: missing is %s", what, line)
		}
	}
	for line, n := range seen {
		if n > 0 {
			t.Errorf("%s: too much is %s", what, line)
		}
	}
}
