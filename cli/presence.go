package cli

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/store"
)

// leaveWithin bounds the last statements of a worker that stops.
const leaveWithin = time.Second

// outliving is a context that ends so long after ctx does. Until then it has no limit of its own: one that
// ends takes the connections of all other statements with it.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}

// logProblemEvery is how often it is logged that a worker delivers nothing.
const logProblemEvery = time.Minute

// presence is this worker's row in webhook.workers.
type presence struct {
	store    *store.Store
	log      *zap.Logger
	delivers func(problem string) // learns why this worker delivers nothing; "": it does
	logged   time.Time
}

// refresh is part of each cycle. While the database is unavailable the dispatcher logs that.
func (p *presence) refresh(ctx context.Context) {
	idle, err := p.store.Seen(ctx)
	if err == nil {
		p.delivers(idle.Problem)
	}
	switch {
	case time.Since(p.logged) < logProblemEvery:
		return
	case err != nil && !store.Transient(err):
		p.log.Warn("worker not visible in webhook.workers, retrying on the next cycle", zap.Error(err))
	case idle.Problem == "":
		return
	case idle.Outdated:
		p.log.Error("nothing is delivered, the schema needs a newer worker", zap.String("problem", idle.Problem))
	case idle.Environments:
		p.log.Error("nothing is delivered, the environments differ", zap.String("problem", idle.Problem))
	default:
		p.log.Error("nothing is delivered, a secret is encrypted under another key", zap.String("problem", idle.Problem))
	}
	p.logged = time.Now()
}

// end removes the row. Should that fail, it is treated as absent a minute later.
func (p *presence) end() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = p.store.Leave(ctx)
}
