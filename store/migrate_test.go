package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

func TestSchema_ThatOfTheRepositoryIsConsistent(t *testing.T) {
	text, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	upgrades, err := Schema{Full: string(text), Upgrades: os.DirFS("..")}.upgrades()
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"(1, 1)"}
	for _, u := range upgrades {
		rows = append(rows, fmt.Sprintf("(%d, %d)", u.version, u.minWorker))
	}
	if want := "insert into webhook.schema_versions (version, min_worker) values\n  " + strings.Join(rows, ", ") + ";\n"; !strings.Contains(string(text), want) {
		t.Errorf("schema.sql must have the versions of the upgrade files, %s", want)
	}
	if !strings.Contains(string(text), endOfGuard) {
		t.Error("schema.sql has no guard")
	}
}

func TestSchema_NamesTheFileAtFault(t *testing.T) {
	const present = "-- A schema, version 3.\n"
	good := func() fstest.MapFS {
		return fstest.MapFS{
			"upgrades/README.md":      {Data: []byte("not SQL")},
			"upgrades/0002_one.sql":   {Data: []byte("-- min_worker: 1\nselect 1;")},
			"upgrades/0003_other.sql": {Data: []byte("-- What it does.\n-- min_worker: 3\nselect 2;")},
		}
	}
	if version, err := (Schema{present, good()}).Version(); version != 3 || err != nil {
		t.Errorf("version %d, %v", version, err)
	}
	for name, c := range map[string]struct {
		present string
		change  func(fstest.MapFS)
		want    string
	}{
		"the header is behind":    {"-- A schema, version 2.\n", nil, `schema.sql: its first line must end with ", version 3."`},
		"no header":               {"select 1;", nil, "schema.sql: its first line must end"},
		"a number is left out":    {present, func(f fstest.MapFS) { delete(f, "upgrades/0002_one.sql") }, "upgrades/0003_other.sql: its number is 3, the next one is 2"},
		"a number is there twice": {present, func(f fstest.MapFS) { f["upgrades/0003_more.sql"] = f["upgrades/0002_one.sql"] }, "upgrades/0003_other.sql: its number is 3, the next one is 4"},
		"a bad name":              {present, func(f fstest.MapFS) { f["upgrades/4.sql"] = f["upgrades/0002_one.sql"] }, "upgrades/4.sql: its name must be like 0002_add_something.sql"},
		"no min_worker":           {present, func(f fstest.MapFS) { f["upgrades/0002_one.sql"].Data = []byte("select 1;") }, "upgrades/0002_one.sql: it must have a line like -- min_worker: 1"},
		"min_worker too high":     {present, func(f fstest.MapFS) { f["upgrades/0002_one.sql"].Data = []byte("-- min_worker: 3\n") }, "upgrades/0002_one.sql: min_worker 3 is above its own version 2"},
	} {
		files := good()
		if c.change != nil {
			c.change(files)
		}
		if _, err := (Schema{c.present, files}).Version(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMigrate_ATransactionThatMetALockIsRepeatedForAMinute(t *testing.T) {
	for _, c := range []struct {
		code pqerror.Code
		want int // tries
	}{{"55P03", 60}, {"40P01", 60}, {"42601", 1}, {"57014", 1}} {
		synctest.Test(t, func(t *testing.T) {
			began, tries := time.Now(), 0
			_, err := repeatLocked(t.Context(), func() (string, error) {
				tries++
				return "x.sql", fmt.Errorf("x.sql: %w", &pq.Error{Code: c.code})
			})
			if tries != c.want || time.Since(began) != time.Duration(c.want-1)*time.Second || code(err) != string(c.code) {
				t.Errorf("%s: %d tries in %s, %v", c.code, tries, time.Since(began), err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		file, err := repeatLocked(t.Context(), func() (string, error) {
			if tries++; tries < 3 {
				return "", &pq.Error{Code: "55P03"}
			}
			return "x.sql", nil
		})
		if file != "x.sql" || err != nil || tries != 3 {
			t.Errorf("%q, %v after %d tries", file, err, tries)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if _, err := repeatLocked(ctx, func() (string, error) { return "", &pq.Error{Code: "55P03"} }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its context has ended: %v", err)
		}
	})
}
