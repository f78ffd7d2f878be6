package cli

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutliving_EndsAfterTheOtherAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, end := context.WithCancel(t.Context())
		longer, cancel := outliving(stop, time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		if longer.Err() != nil {
			t.Error("it ended while nothing was stopped")
		}
		end()
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if longer.Err() != nil {
			t.Error("it ended too early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if longer.Err() == nil {
			t.Error("it did not end")
		}
	})
}
