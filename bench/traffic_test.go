package main

import (
	"slices"
	"testing"
	"time"
)

func TestFlatness_ComparesTheLastThirdWithTheFirst(t *testing.T) {
	samples := make([]sample, 10)
	for i := range samples {
		samples[i] = sample{perSecond: 500, events: 100, p50: 10 * time.Millisecond, p99: 20 * time.Millisecond, blocks: 8, usage: usage{worker: time.Millisecond, postgres: time.Millisecond}}
	}
	samples[0].p99 = time.Second // warm-up
	if got := flatness(samples); !slices.Equal(got, []string{"1.00", "1.00", "1.00", "1.00", "yes"}) {
		t.Errorf("even samples: %v", got)
	}
	for i := range samples[5:] {
		samples[5+i].blocks = 11
	}
	if got := flatness(samples); !slices.Equal(got, []string{"1.00", "1.00", "1.38", "1.00", "**no**"}) {
		t.Errorf("more and more blocks: %v", got)
	}
	samples[7].perSecond = 300
	if got := flatness(samples); got[4] != "no verdict: the machine did not keep the rate" {
		t.Errorf("a machine that is too slow: %v", got)
	}
}
