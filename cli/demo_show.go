package cli

import (
	"context"
	"fmt"
	"time"
)

// commit is a transaction whose event must arrive.
type commit struct {
	id   int64
	what string
	at   time.Time
}

// transact runs one of the application's transactions and shows it.
func (d *demo) transact(ctx context.Context, t demoTransaction) error {
	tx, err := d.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, t.change); err != nil {
		return fmt.Errorf("%s: %w", t.what, err)
	}
	var id int64
	if err := tx.GetContext(ctx, &id, t.publish); err != nil {
		return fmt.Errorf("%s: %w", t.what, err)
	}
	if t.rollBack {
		d.line("%-44s %s", t.what, d.red("rolled back"))
		return tx.Rollback()
	}
	var webhookID string
	if err := tx.GetContext(ctx, &webhookID, `select webhook.webhook_id(o) from webhook.outbox o where id = $1`, id); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.commits[webhookID] = commit{id: id, what: t.what, at: time.Now()}
	d.line("%-44s %s → event %d", t.what, d.green("committed"), id)
	return nil
}

// watch shows deliveries until each committed event was answered with 200.
func (d *demo) watch(ctx context.Context) error {
	waiting := len(d.commits)
	for waiting > 0 {
		select {
		case got := <-d.arrived:
			d.received = append(d.received, got)
			d.show(got)
			if got.status == 200 {
				waiting--
			}
		case <-ctx.Done():
			return fmt.Errorf("%d events did not arrive: %w", waiting, ctx.Err())
		}
	}
	return nil
}

func (d *demo) show(got delivery) {
	from := d.commits[got.webhookID]
	answer := d.green(fmt.Sprint(got.status))
	if got.status != 200 {
		answer = d.red(fmt.Sprint(got.status))
	}
	d.line("%s  %-20s  %s  event %d: %s", got.at.Format("15:04:05.000"), got.event, answer, from.id,
		d.dim(fmt.Sprintf("%s (%s after its commit)", from.what, got.at.Sub(from.at).Round(time.Millisecond))))
	if got.status != 200 {
		d.line("%s", d.dim("failed: the document stays pending until the next ten-second mark …"))
	}
}

type demoRow struct {
	ID         int64
	Event      string
	Status     string
	Attempts   int
	HTTPStatus *int       `db:"http_status"`
	SyncedAt   *time.Time `db:"synced_at"`
}

func (r demoRow) finished() bool { return r.Status != "pending" && r.Status != "sending" }

func (d *demo) rows(ctx context.Context) (rows []demoRow, err error) {
	err = d.db.SelectContext(ctx, &rows, `select id, event, status, attempts, http_status, synced_at from webhook.outbox order by id`)
	return rows, err
}

// finishedRows waits until every row is finished.
func (d *demo) finishedRows(ctx context.Context) ([]demoRow, error) {
	for {
		rows, err := d.rows(ctx)
		if err != nil {
			return nil, err
		}
		open := 0
		for _, r := range rows {
			if !r.finished() {
				open++
			}
		}
		if open == 0 {
			return rows, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// table shows the rows once all are finished.
func (d *demo) table(ctx context.Context) error {
	rows, err := d.finishedRows(ctx)
	if err != nil {
		return err
	}
	d.line("%s", d.dim(fmt.Sprintf("%2s  %-20s  %-7s  %8s  %11s  %s", "id", "event", "status", "attempts", "http_status", "synced_at")))
	for _, r := range rows {
		status := 0
		if r.HTTPStatus != nil {
			status = *r.HTTPStatus
		}
		d.line("%2d  %-20s  %-7s  %8d  %11d  %s", r.ID, r.Event, r.Status, r.Attempts, status, when(r.SyncedAt))
	}
	return nil
}
