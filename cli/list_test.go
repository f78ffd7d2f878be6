package cli

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/recordengine/webhooks/admin"
)

// fakeList is a list that is searched as store.Admin does: the newest ids one by one, down to 70, and from there back
// by time, a few rows at once.
type fakeList []admin.Delivery

func (l fakeList) Deliveries(_ context.Context, _ admin.DeliveryFilter, place admin.DeliveryPlace, most int) (page admin.DeliveryList, err error) {
	walks := place.From.IsZero() && place.To.IsZero() && (place.Before == 0 || place.Before > 70)
	for _, d := range l {
		if (place.Before == 0 || d.ID < place.Before) && (!walks || d.ID >= 70) && !d.At.Time.Before(place.From) && (place.To.IsZero() || d.At.Time.Before(place.To)) {
			page.Rows = append(page.Rows, d)
		}
	}
	if !walks && place.From.IsZero() && len(page.Rows) > 2 {
		slices.SortFunc(page.Rows, func(a, b admin.Delivery) int { return b.At.Time.Compare(*a.At.Time) })
		page.Rows, page.From = page.Rows[:2], *page.Rows[1].At.Time
	}
	slices.SortFunc(page.Rows, func(a, b admin.Delivery) int { return int(b.ID - a.ID) })
	switch {
	case len(page.Rows) > most:
		page.Rows, page.More = page.Rows[:most], true
	case walks:
		page.ReachedID = 70
	}
	return page, nil
}

// TestList_ASearchGoesOnWhereItEnded: whatever the limit, each delivery is listed once, by the places that are named.
func TestList_ASearchGoesOnWhereItEnded(t *testing.T) {
	noon := time.Date(2026, 3, 22, 12, 0, 0, 1000, time.UTC)
	var all fakeList
	for i, id := range []int64{80, 70, 10, 50, 40, 60, 30, 20, 90} { // in the order in which they finished
		at := noon.Add(-time.Duration(i) * time.Minute)
		all = append(all, admin.Delivery{ID: id, At: admin.Instant{Time: &at}})
	}
	for limit := 1; limit <= len(all)+1; limit++ {
		var got []int64
		for place, more := (admin.ListPlace{}), true; more && len(got) <= len(all); {
			l, err := searchList(t.Context(), all, admin.DeliveryFilter{}, place, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range l.rows {
				got = append(got, r.ID)
			}
			if more = l.more; !more {
				break
			}
			var named placeFlag
			if err := named.Set(placeText(l.next)); err != nil || named.ListPlace != l.next {
				t.Fatalf("%+v is named %q, which is read as %+v: %v", l.next, placeText(l.next), named.ListPlace, err)
			}
			place = named.ListPlace
		}
		if slices.Sort(got); !slices.Equal(got, []int64{10, 20, 30, 40, 50, 60, 70, 80, 90}) {
			t.Errorf("with a limit of %d it lists %v", limit, got)
		}
	}
}

func TestPlaceFlag_MalformedIsRefused(t *testing.T) {
	for _, text := range []string{"", "x", "0", "-1", "1/2", "1///x", "1/x//", "////", "1/2026-03-22T12:00:00Z//0"} {
		if err := new(placeFlag).Set(text); err == nil {
			t.Errorf("%q is read as a place", text)
		}
	}
}
