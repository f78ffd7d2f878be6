package cli

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/store"
)

// leaveWithin bounds the last statements of a worker that stops.
const leaveWithin = time.Second

// logProblemEvery is how often it is logged that a worker delivers nothing.
const logProblemEvery = time.Minute

// presence is this worker's row in webhook.workers.
type presence struct {
	store  *store.Store
	log    *zap.Logger
	logged time.Time
}

// refresh is part of each cycle. While the database is unavailable the dispatcher logs that.
func (p *presence) refresh(ctx context.Context) {
	problem, err := p.store.Seen(ctx)
	switch {
	case time.Since(p.logged) < logProblemEvery:
		return
	case err != nil && !store.Transient(err):
		p.log.Warn("worker not visible in webhook.workers, retrying on the next cycle", zap.Error(err))
	case problem != "":
		p.log.Error("nothing is delivered, the environments differ", zap.String("problem", problem))
	default:
		return
	}
	p.logged = time.Now()
}

// end removes the row. Should that fail, it is treated as absent a minute later.
func (p *presence) end() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = p.store.Leave(ctx)
}
