package cli

import (
	"context"
	"fmt"

	"github.com/recordengine/webhooks/store"
)

// runMigrate is `webhooks migrate`.
func runMigrate(ctx, _ context.Context, p Process, args []string) error {
	f := newFlags(p, "migrate", "")
	database := f.database()
	show := f.Bool("print", false, "show schema.sql instead")
	check := f.Bool("check", false, "only say whether it is applied: exit status 0 if so, else 1")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	if *show {
		_, err := fmt.Fprint(p.Stdout, p.Schema)
		return err
	}
	dsn, err := f.dsn(*database)
	if err != nil {
		return err
	}
	db, err := store.Open(dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	version, err := store.SchemaVersion(p.Schema)
	if err != nil {
		return err
	}
	if *check {
		if err := store.CheckSchema(ctx, db, p.Schema); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.Stdout, "the schema is up to date (version %d)\n", version)
		return err
	}
	applied, err := store.Migrate(ctx, db, p.Schema)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if applied {
		_, err = fmt.Fprintf(p.Stdout, "schema.sql is applied (version %d)\nnext: set a URL and turn a channel on, then webhooks run; see: select * from webhook.status\n", version)
	} else {
		_, err = fmt.Fprintf(p.Stdout, "nothing to do: the schema is up to date (version %d)\n", version)
	}
	return err
}
