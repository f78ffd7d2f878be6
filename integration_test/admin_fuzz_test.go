package integration_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// clearlyRefused are what the functions of an administrator may answer: a value
// out of place, no such event, a state that does not allow it, a malformed pattern,
// a time or an interval beyond PostgreSQL's.
var clearlyRefused = []string{"22023", "P0002", "55000", "55006", "22025", "22008"}

// adminCall is one call of a function, on rows in every state.
type adminCall struct {
	query string
	args  []any
	may   string // a condition: of the rows that have changed, or are gone, all are such
}

// FuzzAdmin holds that whatever a person passes to the functions that act on
// events, the answer is a result or a clear error; that no row changes except those
// that the function is for, no more than max_rows, and none in a dry run.
func FuzzAdmin(f *testing.F) {
	for _, like := range []string{"", "%", `\`, "%outcome unknown%", "'; drop table webhook.outbox; --", "%%s %1$s", "\u2028é"} {
		f.Add("contacts", like, int64(0), int32(404), int32(10), int64(3), true)
		f.Add(like, like, int64(1<<62), int32(-1), int32(1), int64(-1), false)
	}
	f.Add("documents", "%", int64(-1<<62), int32(0), int32(-1), int64(1<<62), false)
	f.Add("%", "%", int64(1_800_000_000), int32(503), int32(1<<30), int64(7), false)
	db := ready(f, "https://re.example")
	inEveryState(db)
	var ids []int64
	if err := db.Select(&ids, `select id from webhook.outbox order by id`); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, channel, like string, seconds int64, status, most int32, number int64, yes bool) {
		channel, like = madeStorable(channel), madeStorable(like)
		id := ids[int(uint64(number)%uint64(len(ids)))]
		if yes {
			id = number
		}
		const at = `to_timestamp(least(greatest($2::float8, -1e11), 1e13))`
		for _, c := range []adminCall{
			{`select webhook.retry_failed(nullif($1, ''), since => ` + at + `, error_like => $3, max_rows => $4, dry_run => $5)`, []any{channel, seconds, like, most, yes}, `status = 'failed'`},
			{`select webhook.retry_failed(http_status => $1, error_like => nullif($2, ''), include_unknown => $3, max_rows => $4)`, []any{status, like, yes, most}, `status = 'failed'`},
			{`select webhook.retry_failed(failure => nullif($1, ''), max_rows => $2)`, []any{like, most}, `status = 'failed'`},
			{`select webhook.discard(nullif($1, ''), ` + at + `, $3, $4)`, []any{channel, seconds, most, yes}, `status = 'pending' and leased_until is null`},
			{`select webhook.prune(make_interval(secs => $1), $2)`, []any{seconds, most}, `finished_at is not null`},
			{`select webhook.retry($1)`, []any{id}, `leased_until is null`},
			{`select webhook.cancel($1)`, []any{id}, `status = 'pending' and leased_until is null`},
			{`select webhook.send_test($1)`, []any{channel}, `false`},
		} {
			db.adminMay(t, c)
		}
		var words []string
		if err := db.Select(&words, `select webhook.explain($1) union all select coalesce(webhook.hint($3, $2, $3), '') union all select coalesce(webhook.url_host($3), '')`, id, status, like); err != nil {
			t.Errorf("explain, hint or url_host of %d, %d, %q: %v", id, status, like, err)
		}
	})
}

// madeStorable drops what no text of PostgreSQL holds.
func madeStorable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}

// adminMay makes one call and takes it back.
func (db *database) adminMay(t *testing.T, c adminCall) {
	t.Helper()
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`create temp table before on commit drop as select * from webhook.outbox`)
	var said string
	if err := tx.Get(&said, c.query, c.args...); err != nil {
		var pe *pq.Error
		if !errors.As(err, &pe) || !slices.Contains(clearlyRefused, string(pe.Code)) {
			t.Errorf("%s %v: %v", c.query, c.args, err)
		}
		return
	}
	changed := rowsOf(t, tx, `select count(*) from before b where not exists (select from webhook.outbox o where o.id = b.id and o::text = b::text)`)
	wrongly := rowsOf(t, tx, `select count(*) from before b where not exists (select from webhook.outbox o where o.id = b.id and o::text = b::text) and not (`+c.may+`)`)
	if wrongly > 0 {
		t.Errorf("%s %v: %d rows have changed that it is not for", c.query, c.args, wrongly)
	}
	if most, limited := c.args[len(c.args)-1].(int32); limited && changed > max(int64(most), 0) {
		t.Errorf("%s %v: %d rows have changed", c.query, c.args, changed)
	}
	if dry, ok := c.args[len(c.args)-1].(bool); ok && dry && changed > 0 {
		t.Errorf("%s %v: a dry run has changed %d rows", c.query, c.args, changed)
	}
}

func rowsOf(t *testing.T, tx *sqlx.Tx, query string) (n int64) {
	t.Helper()
	if err := tx.Get(&n, query); err != nil {
		t.Fatal(err)
	}
	return n
}
