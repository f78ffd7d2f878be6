package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// tutorialRole is the outbox of the tutorials: one transaction a row, with the
// POST inside it.
func tutorialRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("tutorial", flag.ContinueOnError)
	url := f.String("url", "", "where to")
	goroutines := f.Int("goroutines", 1, "how many of them")
	if err := f.Parse(args); err != nil {
		return err
	}
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(*goroutines)
	db.SetMaxIdleConns(*goroutines)
	client := newClient(*goroutines)
	fmt.Println("ready")
	failed := make(chan error, *goroutines)
	var all sync.WaitGroup
	for range *goroutines {
		all.Go(func() {
			for ctx.Err() == nil {
				err := tutorialStep(ctx, db, func(id int64, payload []byte) error {
					return post(ctx, client, *url, payload, strconv.FormatInt(id, 10))
				})
				if errors.Is(err, sql.ErrNoRows) {
					return
				}
				if err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		<-ctx.Done()
		return nil
	}
}

func tutorialStep(ctx context.Context, db *sql.DB, send func(id int64, payload []byte) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var id int64
	var payload []byte
	err = tx.QueryRowContext(ctx, `
		select id, data from outbox where sent_at is null order by id limit 1 for update skip locked`).Scan(&id, &payload)
	if err != nil {
		return err
	}
	if err := send(id, payload); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `update outbox set sent_at = now() where id = $1`, id); err != nil {
		return err
	}
	return tx.Commit()
}

// tutorial makes the peer with a database of its own.
func (s *stage) tutorial(ctx context.Context) (func(goroutines int, share float64) drainer, error) {
	db, err := s.postgres.create(ctx, "tutorial")
	if err != nil {
		return nil, err
	}
	s.atEnd(func() { db.Close() })
	_, err = db.ExecContext(ctx, `
		create table outbox (id bigint generated always as identity primary key, data json not null, sent_at timestamptz);
		create index on outbox (id) where sent_at is null`)
	if err != nil {
		return nil, err
	}
	return func(goroutines int, share float64) drainer {
		return drainer{
			name: fmt.Sprintf("one transaction a row, the POST inside it (the tutorial), %d at once", goroutines), share: share,
			fill: func(ctx context.Context, n int) error {
				for _, statement := range []string{`truncate outbox`, `insert into outbox (data) ` + peerData(n), `vacuum (analyze) outbox`, `checkpoint`} {
					if _, err := db.ExecContext(ctx, statement); err != nil {
						return err
					}
				}
				return nil
			},
			start: func(int) (*process, error) {
				p, _, err := startRole(filepath.Join(s.dir, "tutorial.log"), []string{"DATABASE_URL=" + s.postgres.server.DSN("tutorial")},
					"tutorial", "--url", s.receiver.hooks+hook, "--goroutines", strconv.Itoa(goroutines))
				return p, err
			},
			db: db, table: "outbox", open: "sent_at is null", anyOpen: `select exists (select from outbox where sent_at is null)`,
		}
	}, nil
}

// peerData is a query of n payloads, complete: a peer renders nothing.
func peerData(n int) string {
	return fmt.Sprintf(`select json_build_object('id', n, 'details', repeat('d', %d)) from generate_series(1, %d) n`, payloadBytes-35, n)
}
