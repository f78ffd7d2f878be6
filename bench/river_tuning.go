package main

import (
	"context"
	"strings"
)

// riverTuning is how River's settings were found. One cannot be set: how its completer gathers finished jobs.
func riverTuning(ctx context.Context, s *stage, r *report) error {
	river, err := s.river(ctx)
	if err != nil {
		return err
	}
	all := []drainer{s.ceiling(payloadBytes, ceilingSenders)}
	for _, flags := range []string{
		"--workers 100 --cooldown 1ms --poll 1ms",
		"--workers 100 --cooldown 1ms --poll 1ms --poll-only --alone --connections 16",
		"--workers 200 --cooldown 1ms --poll 1ms --poll-only --alone --connections 16",
		"--workers 500 --cooldown 5ms --poll 5ms --poll-only --alone --connections 16",
		"--workers 500 --cooldown 20ms --poll 20ms --poll-only --alone --connections 16",
		"--workers 1000 --cooldown 1ms --poll 1ms --poll-only --alone --connections 16",
		"--workers 1000 --cooldown 20ms --poll 20ms --poll-only --alone --connections 4",
		"--workers 1000 --cooldown 20ms --poll 20ms --poll-only --alone --connections 16",
		"--workers 1000 --cooldown 50ms --poll 50ms --poll-only --alone --connections 16",
		"--workers 2000 --cooldown 50ms --poll 50ms --poll-only --alone --connections 16",
		"--workers 1000 --cooldown 20ms --poll 20ms --poll-only --alone --connections 16 --queues 4",
	} {
		all = append(all, river(flags, 1, strings.Fields(flags)...))
	}
	return s.compareTo(ctx, r, "River "+riverVersion(), all, 1, "")
}
