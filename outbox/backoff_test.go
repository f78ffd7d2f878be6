package outbox

import (
	"testing"
	"time"
)

func TestBackoff_GrowsToFiveSeconds(t *testing.T) {
	for failures := 1; failures <= 200; failures++ {
		longest := min(5*time.Second, 50*time.Millisecond<<min(failures-1, 20))
		for range 50 {
			if d := Backoff(failures); d > longest || d < longest/2 {
				t.Fatalf("after %d failures: %s, %s to %s was expected", failures, d, longest/2, longest)
			}
		}
	}
}
