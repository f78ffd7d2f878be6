package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"

	"github.com/recordengine/webhooks/atrest"
)

// Worker is what webhook.workers shows of this process.
type Worker struct {
	ID          string  // a UUID
	Version     string  // of the binary
	Environment *string // WEBHOOK_ENVIRONMENT; nil if not set
	Role        string  // the database role
	Settings    map[string]any
	Keys        *atrest.Keys // decrypt the token and the signing secrets; nil: none
	Schema      int          // the version of the schema that it was built with; 0: any
}

// Introduce says who this worker is. Claim, Skip and ExpireLeases touch no event where its environment
// is not that of the settings, or where the schema needs a newer worker (min_worker); nor does Claim where
// it lacks a key. Not to be called once the worker runs.
func (s *Store) Introduce(w Worker) {
	w.ID = s.self.ID
	w.Settings = maps.Clone(w.Settings)
	if w.Settings == nil {
		w.Settings = map[string]any{}
	}
	w.Settings["secret_keys"] = w.Keys.IDs() // webhook.worker_problem reads these two
	w.Settings["schema_version"] = w.Schema
	s.self, s.opener.keys = w, w.Keys
}

// Idle is why a worker delivers nothing.
type Idle struct {
	Problem      string // in words; "": it delivers
	Outdated     bool   // the schema needs a newer worker
	Environments bool   // they differ; without either, it lacks a key
}

// schema is compared with min_worker by each statement with which a worker takes events up: an upgrade may
// come while it runs. What it holds by then it sends and records. Null, where no version was said, is less
// than none.
func (w Worker) schema() sql.NullInt64 {
	return sql.NullInt64{Int64: int64(w.Schema), Valid: w.Schema > 0}
}

// Seen refreshes this worker's row, and removes those that nothing refreshed for a day. It returns why
// this worker delivers nothing.
func (s *Store) Seen(ctx context.Context) (idle Idle, err error) {
	settings, err := json.Marshal(s.self.Settings)
	if err != nil {
		return idle, err
	}
	defer s.network.endWith(ctx)()
	err = s.db.GetContext(ctx, &idle, `
		-- $1 id, $2 name, $3 version, $4 environment, $5 settings, $6 the version of its schema (null: any)
		with gone as (
		  delete from webhook.workers where seen_at < clock_timestamp() - interval '1 day' and id <> $1
		), own as (
		  insert into webhook.workers as w (id, name, version, environment, settings) values ($1, $2, $3, $4, $5)
		      on conflict (id) do update set seen_at = clock_timestamp()
		  returning w.*
		)
		select coalesce(webhook.worker_problem(row(own.*)::webhook.workers, s), '') as problem, own.environment is distinct from s.environment as environments,
		       exists (select from webhook.schema_versions v where v.min_worker > $6) as outdated
		  from own cross join webhook.settings s`,
		s.self.ID, s.worker, s.self.Version, s.self.Environment, string(settings), s.self.schema())
	if err != nil {
		return Idle{}, s.failed("refresh the worker's row", err)
	}
	return idle, nil
}

// Leave removes this worker's row.
func (s *Store) Leave(ctx context.Context) error {
	defer s.network.endWith(ctx)()
	_, err := s.db.ExecContext(ctx, `delete from webhook.workers where id = $1`, s.self.ID)
	return err
}

// BeginCleanUp reports whether this worker is to clean up now: none did within a day, or always, and no
// other worker is at it. Tally may have the row locked for a moment. A worker that was not seen for a minute is not. A clean-up in the future was
// recorded by a clock that has been set back since.
func (s *Store) BeginCleanUp(ctx context.Context, always bool) (begun bool, err error) {
	n, err := s.execCounting(ctx, "begin the clean-up", `
		-- $1 worker id, $2 always, $3 environment (null: none)
		with begun as (
		  update webhook.maintenance set pruning_by = $1
		   where only_row in (
		         select m.only_row from webhook.maintenance m cross join webhook.settings s
		          where ($2 or m.pruned_at is null or m.pruned_at not between clock_timestamp() - interval '1 day' and clock_timestamp())
		            and s.environment is not distinct from $3
		            and not exists (select from webhook.workers w
		                             where w.id = m.pruning_by and w.id <> $1 and w.seen_at > clock_timestamp() - interval '1 minute')
		            for update of m)
		  returning only_row
		)
		select count(*) from begun`, s.self.ID, always, s.self.Environment)
	return n > 0, err
}

// EndCleanUp ends what BeginCleanUp began; done: nothing is left to be deleted.
func (s *Store) EndCleanUp(ctx context.Context, done bool) error {
	_, err := s.execCounting(ctx, "end the clean-up", `
		-- $1 worker id, $2 done
		with ended as (
		  update webhook.maintenance set pruning_by = null, pruned_at = case when $2 then clock_timestamp() else pruned_at end
		   where pruning_by = $1
		  returning only_row
		)
		select count(*) from ended`, s.self.ID, done)
	return err
}
