package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// The end of a request that waits for a connection costs those that have one nothing.
func TestPageCrowd_WhoWaitsTooLongHarmsNoOther(t *testing.T) {
	t.Parallel()
	way := newProxy(t, ready(t, "https://re.example").address)
	pool, err := store.Open(way.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	a := store.NewAdmin(pool, store.Schema{})
	const connections = 6
	reached, goOn := make(chan bool, connections), make(chan bool)
	way.onRequest(func(x *exchange) action {
		if x.runs("from webhook.settings") {
			reached <- true
			<-goOn
		}
		return pass
	})
	ended := make(chan error, connections)
	for range connections {
		go func() {
			_, err := a.Settings(t.Context())
			ended <- err
		}()
	}
	for range connections {
		<-reached
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := a.Settings(ctx); !errors.Is(err, admin.ErrUnavailable) {
		t.Errorf("one more: %v", err)
	}
	<-ctx.Done()
	time.Sleep(500 * time.Millisecond) // what must not happen happens within 200 ms
	close(goOn)
	for range connections {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
