package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// webhookArgs is a River job: the payload, complete.
type webhookArgs struct {
	ID      int64  `json:"id"`
	Details string `json:"details"`
}

func (webhookArgs) Kind() string { return "webhook" }

// webhookWorker POSTs a job's payload as it is stored.
type webhookWorker struct {
	river.WorkerDefaults[webhookArgs]
	client *http.Client
	url    string
}

func (w *webhookWorker) Work(ctx context.Context, job *river.Job[webhookArgs]) error {
	return post(ctx, w.client, w.url, job.EncodedArgs, strconv.FormatInt(job.ID, 10))
}

// riverRole is a River client that works the default queue.
func riverRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("river", flag.ContinueOnError)
	url := f.String("url", "", "where to")
	workers := f.Int("workers", 100, "MaxWorkers")
	cooldown := f.Duration("cooldown", river.FetchCooldownDefault, "FetchCooldown")
	poll := f.Duration("poll", river.FetchPollIntervalDefault, "FetchPollInterval")
	pollOnly := f.Bool("poll-only", false, "PollOnly: no LISTEN")
	alone := f.Bool("alone", false, "no leader election, hence no maintenance beside the work")
	queues := f.Int("queues", 1, "over how many queues the jobs are spread")
	connections := f.Int("connections", 0, "of the pool; 0 is pgx's own choice")
	if err := f.Parse(args); err != nil {
		return err
	}
	pool, err := openPool(ctx, os.Getenv("DATABASE_URL"), *connections)
	if err != nil {
		return err
	}
	defer pool.Close()
	config := &river.Config{
		Queues:                 map[string]river.QueueConfig{},
		Workers:                river.NewWorkers(),
		FetchCooldown:          *cooldown,
		FetchPollInterval:      *poll,
		PollOnly:               *pollOnly,
		LeaderElectionDisabled: *alone,
		Logger:                 slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for i := range *queues {
		config.Queues[queueName(i)] = river.QueueConfig{MaxWorkers: *workers / *queues}
	}
	river.AddWorker(config.Workers, &webhookWorker{client: newClient(*workers), url: *url})
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return client.Stop(context.WithoutCancel(ctx))
}

func queueName(i int) string {
	if i == 0 {
		return river.QueueDefault
	}
	return "queue_" + strconv.Itoa(i)
}

func openPool(ctx context.Context, dsn string, connections int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if connections > 0 {
		config.MaxConns = int32(connections) //nolint:gosec // a small number of ours
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// riverTuned is what made River fastest here; docs/performance.md says what was tried.
var riverTuned = []string{"--workers", "500", "--cooldown", "20ms", "--poll", "20ms", "--poll-only", "--alone", "--connections", "16"}

// river makes the peer with a database of its own.
func (s *stage) river(ctx context.Context) (func(name string, share float64, flags ...string) drainer, error) {
	db, err := s.postgres.create(ctx, "river")
	if err != nil {
		return nil, err
	}
	dsn := s.postgres.server.DSN("river")
	pool, err := openPool(ctx, dsn, 4)
	if err != nil {
		return nil, err
	}
	s.atEnd(pool.Close)
	s.atEnd(func() { db.Close() })
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	client, err := river.NewClient(driver, &river.Config{})
	if err != nil {
		return nil, err
	}
	return func(name string, share float64, flags ...string) drainer {
		return drainer{
			name: name, share: share,
			fill: func(ctx context.Context, n int) error { return fillRiver(ctx, pool, client, n, queuesOf(flags)) },
			start: func(int) (*process, error) {
				p, _, err := startRole(filepath.Join(s.dir, "river.log"), []string{"DATABASE_URL=" + dsn},
					"river", append([]string{"--url", s.receiver.hooks + hook}, flags...)...)
				return p, err
			},
			db: db, table: "river_job", open: "state <> 'completed'", anyOpen: `select exists (select from river_job where state <> 'completed')`,
		}
	}, nil
}

// fillRiver inserts the backlog with InsertManyFast, 5,000 jobs a call.
func fillRiver(ctx context.Context, pool *pgxpool.Pool, client *river.Client[pgx.Tx], n, queues int) error {
	if _, err := pool.Exec(ctx, `truncate river_job`); err != nil {
		return err
	}
	details := strings.Repeat("d", payloadBytes-35)
	for begin := 0; begin < n; begin += 5000 {
		var batch []river.InsertManyParams
		for i := begin; i < min(begin+5000, n); i++ {
			batch = append(batch, river.InsertManyParams{
				Args:       webhookArgs{ID: int64(i), Details: details},
				InsertOpts: &river.InsertOpts{Queue: queueName(i % queues)},
			})
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
	}
	for _, statement := range []string{`vacuum (analyze) river_job`, `checkpoint`} {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func queuesOf(flags []string) int {
	for i, flag := range flags {
		if flag == "--queues" {
			n, _ := strconv.Atoi(flags[i+1])
			return n
		}
	}
	return 1
}

// riverVersion is the one that this bench was built with.
func riverVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/riverqueue/river" {
				return m.Version
			}
		}
	}
	return ""
}
