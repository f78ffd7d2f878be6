package admin

import (
	"context"
	"errors"
)

// ErrUnavailable means that the database cannot be reached or cannot answer now.
var ErrUnavailable = errors.New("the database is unavailable")

// ErrNoSchema means that the database lacks the schema of webhooks, or a table of it.
var ErrNoSchema = errors.New("this database has no webhook schema; run: webhooks migrate")

// ErrDenied means that the role of the page lacks a privilege.
var ErrDenied = errors.New("the role of the page lacks a privilege")

// ErrUncertain means that the answer to a commit was lost: what was to be changed is changed as a whole, or
// not at all.
var ErrUncertain = errors.New("the answer to a commit was lost")

// Store is the database as the page uses it. Every method returns soon after ctx ends. A method that
// changes something takes the name of the person who does it, which is recorded with the change, and is
// done whole or not at all. ErrUnavailable: nothing was changed, except where a comment says otherwise.
type Store interface {
	// Ready returns nil if the database answers and has the schema.
	Ready(ctx context.Context) error

	operationStore
	deliveriesStore
	deliveryStore
	resendStore
	settingsStore
	secretStore
	overviewStore
}
