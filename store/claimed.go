package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// Claimed returns what is leased under a claim. Its reply was lost, and so, perhaps, were all the
// pooled connections: a fresh one is made. The columns are those of claimSQL.
func (s *Store) Claimed(ctx context.Context, claimID string) (events []outbox.Event, err error) {
	s.dropIdle()
	err = s.lookUps(ctx, func(tx *sqlx.Tx) error {
		rows, err := tx.QueryxContext(ctx, `
			-- $1 claim id
			select o.id, o.event, c.name, o.data, o.occurred_at::text, o.due_at::text, o.attempts, o.is_test, o.at_least_once, false,
			       coalesce(c.url, ''), case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end,
			       c.accept_status, c.max_in_flight, coalesce(c.max_per_second, 0), coalesce(s.document_base_url, ''), s.instance_id
			  from webhook.outbox o
			  join webhook.channels c on c.event = o.event
			 cross join webhook.settings s
			 where o.claim_id = $1 and o.leased_until is not null`, claimID)
		if err != nil {
			return err
		}
		events, err = scanEvents(rows, claimID)
		return err
	})
	if err != nil {
		return nil, s.failed("look up a claim", err)
	}
	return events, nil
}

// scanEvents reads to the very end: a claim has committed only once the server has reported it. The rows
// of a channel have the same accept_status, which is parsed once.
func scanEvents(rows *sqlx.Rows, claimID string) ([]outbox.Event, error) {
	defer rows.Close()
	var events []outbox.Event
	var accept acceptStatus
	for rows.Next() {
		ev := outbox.Event{ClaimID: claimID, Validated: true}
		err := rows.Scan(&ev.ID, &ev.Name, &ev.Channel, (*[]byte)(&ev.Data), &ev.OccurredAt, &ev.DueAt, &ev.Attempts, &ev.IsTest, &ev.AtLeastOnce, &ev.Superseded,
			&ev.Endpoint.URL, &ev.Endpoint.Token, &accept, &ev.Endpoint.MaxInFlight, &ev.Endpoint.MaxPerSecond, &ev.Endpoint.DocumentBaseURL, &ev.Endpoint.InstanceID)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		ev.Endpoint.AcceptStatus = accept.parsed
		events = append(events, ev)
	}
	return events, rows.Err()
}

// acceptStatus scans an int[] and keeps what the text before it was parsed to.
type acceptStatus struct {
	text   string
	parsed []int
}

// Scan implements sql.Scanner.
func (a *acceptStatus) Scan(src any) error {
	text, ok := src.([]byte)
	if ok && string(text) == a.text {
		return nil
	}
	var all pq.Int64Array
	if err := all.Scan(src); err != nil {
		return err
	}
	a.text, a.parsed = string(text), make([]int, len(all))
	for i, status := range all {
		a.parsed[i] = int(status)
	}
	return nil
}
