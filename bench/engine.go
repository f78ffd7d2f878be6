package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// engineRole is the worker without its command line: with a sender that answers
// at once, or under a CPU profile. Its settings are those of cli/config.go and cli/run.go.
func engineRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("engine", flag.ContinueOnError)
	instant := f.Bool("instant", false, "send nothing: every attempt succeeds at once")
	profile := f.String("cpuprofile", "", "write a CPU profile to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	db, err := store.Open(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close()
	st := store.New(db, 90*time.Second)
	defer st.Close()
	var send outbox.Sender = sender.New(sender.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Version: "bench"})
	if *instant {
		send = instantSender{}
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	debug.SetGCPercent(400)
	fmt.Println("ready")
	w := outbox.New(st, send, zap.NewNop(), outbox.Options{
		PollInterval: 20 * time.Millisecond, Timeout: 30 * time.Second, Lease: 90 * time.Second, Memory: 64 << 20})
	return w.Run(context.WithoutCancel(ctx), ctx)
}

// instantSender answers 200 without a network.
type instantSender struct{}

func (instantSender) Check(string, string, string) error { return nil }

func (instantSender) Send(context.Context, outbox.Request) outbox.Result {
	return outbox.Result{Received: outbox.ReceivedYes, Status: 200}
}

// database is the engine without a receiver: claims, rendering and records,
// the other half of 1/(1/HTTP + 1/database). With 500 slots the claims are as
// large as they get, so that nothing but the database holds it up.
func (s *stage) database(name, channel, event string) drainer {
	d := s.ours(name, channel, event, payloadBytes)
	d.silent = true
	fill := d.fill
	d.fill = func(ctx context.Context, n int) error {
		if err := fill(ctx, n); err != nil {
			return err
		}
		return s.exec(ctx, `update webhook.channels set max_in_flight = 500`)
	}
	d.start = func(int) (*process, error) {
		p, _, err := startRole(filepath.Join(s.dir, "engine.log"), []string{"DATABASE_URL=" + s.dsn()}, "engine", "--instant")
		return p, err
	}
	return d
}
