package signature

import (
	"errors"
	"time"
)

// Row is a row of webhook.secrets as it may be shown: without the secret.
type Row struct {
	ID      int64
	Kind    Kind
	Created time.Time
	Actor   string     // who made it
	Ends    *time.Time // it signs nothing from then on; nil: no end
	Ended   bool       // by the database's clock
}

// ErrNone means that there is no signing secret with that id.
var ErrNone = errors.New("there is no signing secret with that id")

// ErrEnded means that a signing secret signs nothing any more.
var ErrEnded = errors.New("the signing secret has ended already")
