package main

import (
	"strings"
	"testing"
	"time"
)

func TestASectionIsReplacedBetweenItsMarkersAndNothingElseIs(t *testing.T) {
	r := &report{name: "slow", about: "receivers that take their time"}
	r.table(table{{"a", "b"}, {"1", "2"}})
	before := "# Performance\n\n<!-- bench:slow -->\nold\n<!-- /bench:slow -->\nafter\n<!-- bench:dead -->\nkept\n<!-- /bench:dead -->\n"
	want := "# Performance\n\n<!-- bench:slow -->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n<!-- /bench:slow -->\nafter\n<!-- bench:dead -->\nkept\n<!-- /bench:dead -->\n"
	once := r.between(before)
	if once != want {
		t.Errorf("found\n%s\nwanted\n%s", once, want)
	}
	if again := r.between(once); again != want {
		t.Errorf("a second time:\n%s", again)
	}
}

func TestASectionWithoutMarkersGoesToTheEndWithAHeading(t *testing.T) {
	r := &report{name: "slow", about: "receivers that take their time"}
	r.notef("%d", 1)
	if text := r.between("x\n"); !strings.HasPrefix(text, "x\n\n## Receivers that") || !strings.HasSuffix(text, "1\n<!-- /bench:slow -->\n") {
		t.Error(text)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999.4: "999", 1000: "1,000", 1234567.8: "1,234,568", -1234: "-1,234"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, %s was wanted", v, got, want)
		}
	}
	sorted := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if p := percentile(sorted, 50); p != 6 {
		t.Errorf("p50 %d", p)
	}
	if p := percentile(sorted, 100); p != 10 {
		t.Errorf("p100 %d", p)
	}
	if m := median([]int{3, 1, 2}); m != 2 {
		t.Errorf("median %d", m)
	}
}

func TestOldestFirstIsSeenInTheArrivals(t *testing.T) {
	for _, c := range []struct {
		name   string
		ids    []int64
		oldest float64
		far    int64
	}{
		{"in order", []int64{1, 2, 3, 4}, 1, 0},
		{"the newer half first", []int64{5, 6, 7, 8}, 0, 4},
		{"one again", []int64{1, 1, 2, 3}, 1, 0},
	} {
		var arrived []receipt
		for _, id := range c.ids {
			arrived = append(arrived, receipt{ID: id})
		}
		if oldest, far := inOrder(arrived); oldest != c.oldest || far != c.far {
			t.Errorf("%s: %v and %d, %v and %d were wanted", c.name, oldest, far, c.oldest, c.far)
		}
	}
}
