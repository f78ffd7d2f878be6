package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// search is one look for a page of deliveries, the newest first. The list has no index of its own, for
// which each insert of an application would pay. Whatever the filter, a page reads at most a few times
// mostExamined rows:
//
//  1. It walks down the primary key. Many filters find a page here. The exports of one document have an index.
//  2. Else it looks up how far back it may read the ranges of the other indexes: outbox_finished by event and status,
//     outbox_pending by event and priority. If they hold few enough rows, it reads all of them and the answer is complete.
//  3. Else it reads them from some instant on, which the answer names; the next page begins there. What
//     workers hold is in outbox_held.
//  4. Where too many rows share an instant, the answer is that of the walk, and names the id that was
//     reached. So it is where 2 and 3 take too long: under an old snapshot outbox_pending keeps the entries of all that
//     was delivered since, and no limit counts those.
type search struct {
	tx       *sqlx.Tx
	filter   admin.DeliveryFilter
	most     int           // rows of a page
	examined int           // rows of the walk
	entries  int           // what the ranges may hold
	time     time.Duration // of a statement that reads ranges
	args     []any         // of deliveryMatches
	ranges   deliveryRanges
}

// mostExamined is how many rows each step of a search examines. Rows of an index that have to be fetched are
// on pages of their own, and fewer.
const mostExamined = 4000

// rangesTime bounds each statement that reads ranges: ordinarily one takes a few milliseconds.
const rangesTime = 75 * time.Millisecond

// mostLeased is how many rows workers hold at most: ordinarily a few hundred.
const mostLeased = 20000

func (a *Admin) newSearch(tx *sqlx.Tx, f admin.DeliveryFilter, place admin.DeliveryPlace, most int) *search {
	before := place.Before
	if before <= 0 {
		before = 1<<63 - 1
	}
	entries := a.examined
	if needsRow(f) {
		entries /= 2
	}
	return &search{tx: tx, filter: f, most: most, examined: a.examined, entries: entries, time: a.rangesTime, ranges: rangesOf(f), args: []any{
		before, pq.Array(f.Events), pq.Array(f.Statuses()), f.OnlyLeased(), f.Failure, f.Document, f.Error,
		orNull(f.Since), orNull(f.Until), orNull(place.From), orNull(place.To)}}
}

func (s *search) run(ctx context.Context) (admin.DeliveryList, error) {
	walk := s.walk
	if s.filter.Document != "" {
		walk = s.ofDocument
	}
	rows, reached, err := walk(ctx)
	list := s.list(rows)
	if err != nil || list.More || reached == 0 {
		return list, err
	}
	list.ReachedID = reached
	if s.filter.Document != "" {
		return list, nil
	}
	if err := limitTime(ctx, s.tx, s.time); err != nil {
		return list, err
	}
	found, complete, err := s.inRanges(ctx)
	switch {
	case tookTooLong(ctx, err):
		return list, nil
	case err != nil || complete:
		return found, err
	}
	return list, nil
}

// inRanges is the answer from the indexes of step 2 and 3. complete is false where they have none.
func (s *search) inRanges(ctx context.Context) (list admin.DeliveryList, complete bool, err error) {
	var from time.Time
	if s.args[9] == nil { // else a page of step 3: its instant was chosen so
		few, found := false, false
		if from, few, found, err = s.edge(ctx); err != nil || !few && !found {
			return list, false, err
		}
		s.args[9] = orNull(from)
	}
	rows, err := s.byIndex(ctx)
	list = s.list(rows)
	list.From = from
	return list, true, err
}

// list is a page of what was found, and whether there is another one.
func (s *search) list(rows []deliveryRow) admin.DeliveryList {
	return admin.DeliveryList{Rows: asDeliveries(rows[:min(len(rows), s.most)]), More: len(rows) > s.most}
}

// walk goes down the primary key. reached is the last id that it has examined, 0 if there are no others.
func (s *search) walk(ctx context.Context) (rows []deliveryRow, reached int64, err error) {
	err = s.tx.SelectContext(ctx, &rows, `
		-- $12 rows examined at most, $13 rows at most
		select `+deliveryColumns+`
		  from (select * from webhook.outbox o where o.id < $1 order by o.id desc limit $12) o
		 where `+deliveryMatches+`
		 order by o.id desc limit $13`, append(s.args, s.examined, s.most+1)...)
	if err != nil || len(rows) > s.most {
		return rows, 0, err
	}
	err = s.tx.GetContext(ctx, &reached, `
		-- $1 ids below this, $2 rows examined, without the last
		select coalesce((select o.id from webhook.outbox o where o.id < $1 order by o.id desc offset $2 limit 1), 0)`,
		s.args[0], s.examined-1)
	return rows, reached, err
}

// ofDocument is walk over the exports of one document. Compared as pairs, they are read by no other index.
func (s *search) ofDocument(ctx context.Context) (rows []deliveryRow, reached int64, err error) {
	err = s.tx.SelectContext(ctx, &rows, `
		-- $12 rows examined at most, $13 rows at most
		select `+deliveryColumns+`
		  from (select * from webhook.outbox o
		         where o.document_id is not null and (o.document_id, o.id) < ($6, $1) and (o.document_id, o.id) > ($6, 0)
		         order by o.document_id desc, o.id desc limit $12) o
		 where `+deliveryMatches+`
		 order by o.document_id desc, o.id desc limit $13`, append(s.args, s.examined, s.most+1)...)
	if err != nil || len(rows) > s.most {
		return rows, 0, err
	}
	err = s.tx.GetContext(ctx, &reached, `
		-- $1 ids below this, $2 document, $3 rows examined, without the last
		select coalesce((select o.id from webhook.outbox o
		                  where o.document_id is not null and (o.document_id, o.id) < ($2::text, $1::bigint) and (o.document_id, o.id) > ($2, 0)
		                  order by o.document_id desc, o.id desc offset $3 limit 1), 0)`,
		s.args[0], s.filter.Document, s.examined-1)
	return rows, reached, err
}

// needsRow reports whether the index outbox_finished alone does not tell if a row matches.
func needsRow(f admin.DeliveryFilter) bool {
	return f.Failure != "" || f.Error != "" || f.Document != ""
}

// What a range r holds, the newest first, between the instants of the filter and the place. An event
// is not due before it was written, and it happened before that, or at most a day later by the
// application's clock: so since bounds what waits as well.
// Their parameters are named here, since they are parts of statements that number them differently.
const (
	finishedRange = `
	  webhook.outbox o
	 where r.priority < 0 and o.event = r.event and o.status = r.status and o.finished_at is not null
	   and o.finished_at >= coalesce(greatest($since::timestamptz, $from::timestamptz), '-infinity')
	   and o.finished_at < coalesce(least($until::timestamptz, $to::timestamptz), 'infinity')
	 order by o.finished_at desc`
	waitingRange = `
	  webhook.outbox o
	 where o.event = r.event and o.status = 'pending' and o.leased_until is null
	   and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = r.priority
	   and o.due_at >= coalesce(greatest($since - interval '1 day', $from), '-infinity') and ($to is null or o.due_at < $to)
	 order by o.due_at desc, o.id desc`
)

// placeOf is the place of one row of a range r: how many are before it, in SQL.
func placeOf(before string) string {
	return strings.NewReplacer("$since", "$1", "$until", "$2", "$from", "$3", "$to", "$4").Replace(`
		(select o.finished_at as place from ` + finishedRange + ` offset (` + before + `) limit 1)
		union all
		(select o.due_at as place from ` + waitingRange + ` offset (` + before + `) limit 1)`)
}

// edge is the instant from which on the ranges hold few enough rows. few: all of them do, from the beginning; found: there
// is one, which there is not where too many rows share one, or where Go cannot hold it. It drops the ranges that hold none.
func (s *search) edge(ctx context.Context) (from time.Time, few, found bool, err error) {
	var ranges []struct {
		Event, Status   string
		Priority        int64
		Few             bool
		Reached, Newest *time.Time
	}
	err = s.tx.SelectContext(ctx, &ranges, `
		-- $1 since, $2 until, $3 from, $4 to, $5 events, $6 statuses, $7 priorities, $8 entries in all
		  with held as materialized (
		       select r.event, r.status, r.priority, newest.place
		         from unnest($5::text[], $6::text[], $7::int[]) as r (event, status, priority)
		        cross join lateral (`+placeOf(`0`)+`) newest)
		select r.event, r.status, r.priority, edge.place is null as few,
		       max(edge.place) filter (where isfinite(edge.place)) over () as reached, max(r.place) filter (where isfinite(r.place)) over () as newest
		  from held r
		  left join lateral (`+placeOf(`select $8 / count(*) from held`)+`) edge on true`,
		append(append([]any{}, s.args[7:11]...), s.ranges.events, s.ranges.statuses, s.ranges.priorities, s.entries)...)
	if err != nil {
		return from, false, false, err
	}
	s.ranges, few = deliveryRanges{}, true
	for _, r := range ranges {
		s.ranges.add(r.Event, r.Status, r.Priority)
		few = few && r.Few
		found = r.Reached != nil && r.Newest.After(*r.Reached)
		if found {
			from = r.Reached.Add(time.Microsecond)
		}
	}
	if few {
		from = time.Time{}
	}
	return from, few, found, nil
}

// byIndex reads the ranges, and what workers hold. The rows of the page are fetched at last.
func (s *search) byIndex(ctx context.Context) (rows []deliveryRow, err error) {
	finished := `select o.id from (select o.id from ` + finishedRange + ` limit $15) o where o.id < $1`
	if needsRow(s.filter) {
		finished = `select o.id from (select * from ` + finishedRange + ` limit $15) o where ` + deliveryMatches
	}
	found := strings.NewReplacer("$since", "$8", "$until", "$9", "$from", "$10", "$to", "$11").Replace(finished + `
		union all
		select o.id from (select * from ` + waitingRange + ` limit $15) o where ` + deliveryMatches)
	err = s.tx.SelectContext(ctx, &rows, `
		-- as deliveryMatches; $12 events, $13 statuses, $14 priorities, $15 entries of each at most, $16 rows at most, $17 leased rows at most
		select `+deliveryColumns+`
		  from (select found.id
		          from (select f.id
		                  from unnest($12::text[], $13::text[], $14::int[]) as r (event, status, priority)
		                 cross join lateral (`+found+`) f
		                 union all
		                select o.id
		                  from (select * from webhook.outbox o
		                         where o.leased_until is not null and o.claim_id is not null
		                         order by o.claim_id limit $17) o
		                 where `+deliveryMatches+`) found
		         order by found.id desc limit $16) found
		  join webhook.outbox o on o.id = found.id
		 order by o.id desc`,
		append(append([]any{}, s.args...), s.ranges.events, s.ranges.statuses, s.ranges.priorities, s.entries+1, s.most+1, mostLeased)...)
	return rows, err
}
