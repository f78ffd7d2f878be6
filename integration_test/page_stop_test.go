package integration_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/recordengine/webhooks/admin"
)

// Stop waits for the step that runs, which may take longer than any other lock that the page waits for.
func TestPageOperation_StopsDuringALongStep(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	p := newDeliveriesPage(t, db)
	id, err := p.store.StartResend(t.Context(), "Jane", admin.Resend{})
	if err != nil {
		t.Fatal(err)
	}
	step := db.MustBegin()
	defer step.Rollback()
	step.MustExec(`select from webhook.operations where id = $1 for update`, id)
	answered := make(chan int)
	go func() {
		status, _ := p.post(fmt.Sprintf("/operations/%d/stop", id), nil)
		answered <- status
	}()
	eventually(t, "the stop waits", func() bool {
		return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and clock_timestamp() - query_start > interval '1 second'`) > 0
	})
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusSeeOther {
		t.Errorf("status %d", status)
	}
	if n := db.count(`select count(*) from webhook.operations where stopped_by = 'Jane'`); n != 1 {
		t.Error("it is not stopped")
	}
}
