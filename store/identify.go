package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// Identify returns what the server says which database this is, the same for each way to it: the identifier of its cluster,
// the start of this server and the oid. The start tells copies apart: one that was made of a server's files has its
// identifier. "": the server does not say.
func Identify(ctx context.Context, db *sqlx.DB) (id string, err error) {
	defer networkOf(db).endWith(ctx)()
	err = db.GetContext(ctx, &id, `
		select concat_ws('/', c.system_identifier, extract(epoch from pg_postmaster_start_time()), d.oid)
		  from pg_control_system() c
		 cross join pg_database d
		 where d.datname = current_database()`)
	if denied(err) { // some hosted servers do not let their users call it
		return "", nil
	}
	return id, err
}
