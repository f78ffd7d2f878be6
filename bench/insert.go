package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// domainInsert is the application's own change.
const domainInsert = `insert into contacts (data) values (:data)`

// inserts are the transactions that pgbench runs: its own variable :data is a parameter of prepared statements.
var inserts = []struct {
	name, second string
	wanted       string
}{
	{name: "bare: begin, one insert of 1.4 KB, commit"},
	{name: "… and the same insert once more, into a plain table", second: domainInsert},
	{name: "… and insert into webhook.outbox, contact.created", second: `insert into webhook.outbox (event, data) values ('contact.created', :data)`, wanted: "≤ 1.40"},
	{name: "… and webhook.publish, contact.created", second: `select webhook.publish('contact.created', cast(:data as json))`, wanted: "≤ 1.40"},
	{name: "… and insert into webhook.outbox, document.exported", second: `insert into webhook.outbox (event, data) values ('document.exported', :data)`, wanted: "≤ 1.40"},
	{name: "… and webhook.publish, document.exported", second: `select webhook.publish('document.exported', cast(:data as json))`, wanted: "≤ 1.40"},
}

// inserted is one round of one of them.
type inserted struct {
	perSecond float64
	cpu       float64 // of PostgreSQL and pgbench, in µs a transaction
	floor     float64 // in the server alone, in µs a transaction
}

// insertSection is what an event costs the transaction that writes it, by pgbench. The rounds of all
// alternate, and a ratio is the median of those within a round.
//
// On a machine that other programs use, a rate says more about them. So there are two more figures: the
// CPU time of a transaction, and what it takes in one session of the server without a client, which is
// the time of the best of many short turns.
func insertSection(ctx context.Context, s *stage, r *report) error {
	if err := s.exec(ctx, `create table contacts (id bigint generated always as identity primary key, data json not null, changed_at timestamptz not null default now())`); err != nil {
		return err
	}
	rounds := make([][]inserted, len(inserts))
	for range s.rounds {
		for i, v := range inserts {
			one, err := s.insertRound(ctx, v.second, s.steady/2)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			rounds[i] = append(rounds[i], one)
		}
	}
	t := table{{fmt.Sprintf("pgbench, %d clients", clients), "transactions/s", "bare costs 1, this", "wanted", "CPU of a transaction", "beside bare", "in the server alone"}}
	for i, v := range inserts {
		beside := func(figure func(inserted) float64, inverse bool) string {
			var all []float64
			for j, one := range rounds[i] {
				all = append(all, figure(one)/figure(rounds[0][j]))
				if inverse {
					all[j] = 1 / all[j]
				}
			}
			return fmt.Sprintf("%.2f", median(all))
		}
		rate, cpu := func(x inserted) float64 { return x.perSecond }, func(x inserted) float64 { return x.cpu }
		t = append(t, []string{v.name, number(medianOf(rounds[i], rate)), beside(rate, true), v.wanted,
			fmt.Sprintf("%.0f µs", medianOf(rounds[i], cpu)), beside(cpu, false),
			fmt.Sprintf("%.1f µs", medianOf(rounds[i], func(x inserted) float64 { return x.floor }))})
	}
	r.table(t)
	r.notef("Each statement is prepared and a round trip of its own. The CPU time is that of PostgreSQL and pgbench together. In the server alone: one session without a client, synchronous_commit off.")
	return nil
}

func (s *stage) insertRound(ctx context.Context, second string, during time.Duration) (one inserted, err error) {
	if err := s.exec(ctx, `truncate contacts, webhook.outbox`, `checkpoint`); err != nil {
		return one, err
	}
	if one, err = s.pgbench(ctx, second, during); err != nil {
		return one, err
	}
	one.floor, err = s.insertFloor(ctx, second)
	return one, err
}

// rateOf is what pgbench prints at its end.
var rateOf = regexp.MustCompile(`(?s)actually processed: (\d+).*tps = ([\d.]+)`)

func (s *stage) pgbench(ctx context.Context, second string, during time.Duration) (one inserted, err error) {
	script := filepath.Join(s.dir, "insert.sql")
	text := "begin;\n" + domainInsert + ";\n" + second + ";\ncommit;\n"
	if second == "" {
		text = "begin;\n" + domainInsert + ";\ncommit;\n"
	}
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return one, err
	}
	run := exec.CommandContext(ctx, "pgbench", "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(clients),
		"--time="+strconv.Itoa(max(int(during.Seconds()), 1)), "--define=data="+insertData(), "--file="+script, s.dsn())
	before := s.postgres.cpu()
	said, err := run.CombinedOutput()
	found := rateOf.FindSubmatch(said)
	if err != nil || found == nil {
		return one, fmt.Errorf("pgbench: %w\n%s", err, said)
	}
	time.Sleep(200 * time.Millisecond) // its sessions have ended then, and their CPU time is the postmaster's
	done, _ := strconv.ParseFloat(string(found[1]), 64)
	one.perSecond, _ = strconv.ParseFloat(string(found[2]), 64)
	cpu := s.postgres.cpu() - before + run.ProcessState.UserTime() + run.ProcessState.SystemTime()
	one.cpu = float64(cpu.Microseconds()) / done
	return one, nil
}

// insertFloor is the time of a transaction in one session, of the best of many turns of a few milliseconds.
func (s *stage) insertFloor(ctx context.Context, second string) (micros float64, err error) {
	second = strings.ReplaceAll(second, ":data", "given")
	second = strings.Replace(second, "select ", "perform ", 1)
	if second == "" {
		second = "null"
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for _, statement := range []string{
		`set synchronous_commit = off`,
		fmt.Sprintf(`
		create or replace procedure pg_temp.best(inout best float8) language plpgsql as $p$
		declare
		  given json := %s;
		  began timestamptz;
		begin
		  for turn in 1..200 loop
		    began := clock_timestamp();
		    for i in 1..50 loop
		      %s; %s; commit;
		    end loop;
		    best := least(best, extract(epoch from clock_timestamp() - began)::float8 * 1000000 / 50);
		  end loop;
		end $p$`, pq.QuoteLiteral(insertData()), strings.ReplaceAll(domainInsert, ":data", "given"), second),
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return 0, err
		}
	}
	err = conn.QueryRowContext(ctx, `call pg_temp.best(null)`).Scan(&micros)
	return micros, err
}

// insertData is what the application writes, for its own table as for the outbox.
func insertData() string {
	return `{"id": 7, "contact_id": 7, "status": "Export", "description": "` + strings.Repeat("0123456789abcdef", (payloadBytes-60)/16) + `"}`
}
