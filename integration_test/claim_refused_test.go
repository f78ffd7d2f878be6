package integration_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
)

// The dispatcher tells a claim that lost its race from one that was denied, and both from an outage.
func TestClaim_SaysWhetherItLostItsRaceOrWasDenied(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]error{
		"40001": outbox.ErrConflict, "40P01": outbox.ErrConflict, "23505": outbox.ErrConflict, "55P03": outbox.ErrConflict,
		"42501": outbox.ErrDenied, "P0001": outbox.ErrDenied, "23514": outbox.ErrRejected, "57014": nil,
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			db.exec(fmt.Sprintf(`create function public.refuse() returns trigger language plpgsql as $$
			         begin raise exception 'refused' using errcode = '%s'; end $$`, state))
			db.exec(`create trigger refuse before update on webhook.outbox for each row execute function public.refuse()`)
			db.publish("contact.created", `{}`)
			_, err := workersStore(t, db.address).Claim(t.Context(), uuid.NewString(), []outbox.Capacity{{Channel: "contacts"}})
			for _, is := range []error{outbox.ErrConflict, outbox.ErrDenied, outbox.ErrRejected, outbox.ErrReplyLost} {
				if errors.Is(err, is) != errors.Is(want, is) {
					t.Errorf("%v; %v was expected", err, want)
				}
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}
