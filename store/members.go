package store

import "context"

// memberClass is the first half of the advisory locks by which processes that share a list of databases
// know each other; the second is the process's number.
const memberClass = 0x77656268

// Members holds the advisory lock of a process in this database, under its number, and returns the numbers
// of all processes that hold one here, its own included. A lock ends with its session: a session that was
// replaced since takes it again.
func (s *Store) Members(ctx context.Context, self int32) (all []int32, err error) {
	defer s.network.endWith(ctx)()
	err = s.db.SelectContext(ctx, &all, `
		-- $1 class, $2 number
		with held as materialized (
		  select l.objid::bigint::int as number from pg_locks l
		   where l.locktype = 'advisory' and l.granted and l.classid::bigint = $1::int and l.objsubid = 2
		     and l.database = (select d.oid from pg_database d where d.datname = current_database())
		), taken as materialized (
		  select pg_try_advisory_lock($1::int, $2::int) where not exists (select from held where number = $2::int)
		)
		select number from held union select $2::int from taken`, memberClass, self)
	if err != nil {
		return nil, s.failed("find the processes that share the list", err)
	}
	return all, nil
}
