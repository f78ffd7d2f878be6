package outbox

import (
	"context"
	"errors"
)

// watched is a Store whose statements determine the database's health. Skip, Prune, Overlooked, Pause
// and ChannelProblems are left out: they may last for minutes, or need privileges that the rest does
// not need; Newest too: while it fails the worker polls.
type watched struct {
	Store
	health *health
}

// Claim: one that lost a race or was denied says nothing about the database's health.
func (w watched) Claim(ctx context.Context, claimID string, capacity []Capacity) ([]Event, error) {
	s := w.health.begin("claim")
	events, err := w.Store.Claim(ctx, claimID, capacity)
	s.end(ctx, unlessAnswered(err), len(events) > 0)
	return events, err
}

// unlessAnswered is the error of a statement as health sees it.
func unlessAnswered(err error) error {
	if answered(err) {
		return nil
	}
	return err
}

func (w watched) LookUpClaim(ctx context.Context, claimID string) (events []Event, over bool, err error) {
	s := w.health.begin("look up a claim")
	events, over, err = w.Store.LookUpClaim(ctx, claimID)
	s.end(ctx, err, false)
	return events, over, err
}

// Record: a row that the database rejects or denies says nothing about its health.
func (w watched) Record(ctx context.Context, outcomes []Outcome) (rest Unrecorded, err error) {
	s := w.health.begin("record outcomes")
	rest, err = w.Store.Record(ctx, outcomes)
	s.end(ctx, unlessAnswered(err), err == nil && len(rest.Locked) < len(outcomes))
	return rest, err
}

func (w watched) ReleaseClaims(ctx context.Context, claimIDs []string) (int, error) {
	s := w.health.begin("release a claim")
	n, err := w.Store.ReleaseClaims(ctx, claimIDs)
	s.end(ctx, err, n > 0)
	return n, err
}

func (w watched) Expired(ctx context.Context) ([]string, error) {
	s := w.health.begin("read expired leases")
	ids, err := w.Store.Expired(ctx)
	s.end(ctx, err, false)
	return ids, err
}

func (w watched) ExpireLeases(ctx context.Context, claimIDs []string) ([]ExpiredLeases, error) {
	s := w.health.begin("expire leases")
	leases, err := w.Store.ExpireLeases(ctx, claimIDs)
	s.end(ctx, err, len(leases) > 0)
	return leases, err
}

const doingCheckWrites = "check writes"

// CheckWrite: a database that denies it cannot be asked.
func (w watched) CheckWrite(ctx context.Context) error {
	s := w.health.begin(doingCheckWrites)
	err := w.Store.CheckWrite(ctx)
	if errors.Is(err, ErrDenied) {
		err = nil
	}
	s.end(ctx, err, true)
	return err
}
