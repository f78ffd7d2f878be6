package main

import (
	"context"
	"fmt"
)

// signatures drains the same backlog unsigned, and signed with secrets of each kind.
func signatures(ctx context.Context, s *stage, r *report) error {
	const (
		hmac    = `insert into webhook.secrets (kind, secret) values ('hmac', 'whsec_' || encode(sha256('bench'), 'base64'))`
		ed25519 = `insert into webhook.secrets (kind, secret) values ('ed25519', 'whsk_' || encode(sha256('bench'), 'base64'))`
	)
	variants := []struct {
		name    string
		secrets []string
	}{
		{"not signed", nil},
		{"one secret, HMAC-SHA256", []string{hmac}},
		{"two, in a rotation", []string{hmac, hmac}},
		{"a key pair, Ed25519", []string{ed25519}},
	}
	var all []drainer
	for _, v := range variants {
		d := s.ours(v.name, "audit_log", "audit.log", payloadBytes)
		fill := d.fill
		d.fill = func(ctx context.Context, n int) error {
			if err := s.exec(ctx, append([]string{`truncate webhook.secrets`}, v.secrets...)...); err != nil {
				return err
			}
			return fill(ctx, n)
		}
		all = append(all, d)
	}
	results, err := s.compare(ctx, all, s.events)
	if err != nil {
		return err
	}
	t := table{{"requests", "events/s", "beside unsigned", "CPU per 1,000 events: worker", "PostgreSQL", "all CPU beside unsigned", "wanted"}}
	base := medians(results[0])
	for i, v := range variants {
		m, wanted := medians(results[i]), ""
		if i == 1 {
			wanted = "≤ 1.05"
		}
		t = append(t, []string{v.name, number(m.perSecond), ratio(m.perSecond, base.perSecond), perThousand(m.worker, m.events), perThousand(m.postgres, m.events),
			fmt.Sprintf("%.2f", m.all()/base.all()), wanted})
	}
	r.table(t)
	r.notef("Payloads of %s. The receiver verifies nothing; its CPU is part of \"all\".", sizeName(base.bytes))
	return nil
}
