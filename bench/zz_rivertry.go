package main

import (
	"context"
	"os"
	"strings"
)

func init() {
	sections = append(sections, section{name: "rivertry", run: func(ctx context.Context, s *stage, r *report) error {
		river, err := s.river(ctx)
		if err != nil {
			return err
		}
		all := []drainer{s.ceiling(payloadBytes)}
		for _, c := range strings.Split(os.Getenv("RIVERTRY"), ";") {
			all = append(all, river(c, 1, strings.Fields(c)...))
		}
		_, err = s.compare(ctx, all, s.events)
		return err
	}})
}
