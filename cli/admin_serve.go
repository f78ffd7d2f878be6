package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/recordengine/webhooks/admin"
)

// pageConnections are open at once, further ones wait. With those to the database they are what a worker
// leaves to the page of its open files.
const (
	pageConnections = 128
	pageFiles       = pageConnections + 8
)

// Requests that have begun may end within this time.
const closePageWithin = 5 * time.Second

// page is the page, ready to be served.
type page struct {
	listener net.Listener
	handler  *admin.Page
	db       *sqlx.DB
	log      *zap.Logger
}

// serve answers until stop ends.
func (p *page) serve(stop context.Context) error {
	srv := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	p.log.Info("page started", zap.Stringer("address", p.listener.Addr()))
	closed := make(chan struct{})
	stop, release := context.WithCancel(stop)
	defer p.runOperations(stop)()
	go func() { //nolint:gosec // what is being answered when stop ends gets a time of its own
		defer close(closed)
		<-stop.Done()
		ctx, cancel := context.WithTimeout(context.Background(), closePageWithin)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
	}()
	err := srv.Serve(netutil.LimitListener(p.listener, pageConnections))
	release()
	<-closed
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

// runOperations goes on with what a person has begun, until the returned function ends it.
func (p *page) runOperations(stop context.Context) (end func()) {
	ctx, cancel := context.WithCancel(stop)
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.handler.Run(ctx)
	}()
	return func() { cancel(); <-over }
}

// beside serves in the background until end is called or stop ends. The worker goes on without the page.
func (p *page) beside(stop context.Context) (end func()) {
	stop, cancel := context.WithCancel(stop)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.serve(stop); err != nil {
			p.log.Error("page stopped, the worker goes on", zap.Error(err))
		}
	}()
	return func() {
		cancel()
		<-done
		p.close()
	}
}

func (p *page) close() {
	p.listener.Close()
	p.db.Close()
}
