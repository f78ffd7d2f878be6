package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// ceilingSenders is how many goroutines the ceiling has, unless it is to be
// compared with as many slots.
const ceilingSenders = 64

// ceilingRole POSTs as many payloads as fast as net/http can, and nothing else.
func ceilingRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("ceiling", flag.ContinueOnError)
	url := f.String("url", "", "where to")
	events := f.Int64("events", 0, "how many")
	size := f.Int("size", payloadBytes, "bytes of each")
	senders := f.Int("senders", ceilingSenders, "how many goroutines")
	if err := f.Parse(args); err != nil {
		return err
	}
	payload := bytes.Repeat([]byte("x"), *size)
	client := newClient(*senders)
	fmt.Println("ready")
	var next atomic.Int64
	var all sync.WaitGroup
	for range *senders {
		all.Go(func() {
			for next.Add(1) <= *events && ctx.Err() == nil {
				_ = post(ctx, client, *url, payload, "")
			}
		})
	}
	all.Wait()
	<-ctx.Done()
	return nil
}

// newClient keeps as many connections as there are senders.
func newClient(senders int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
}

// post makes one attempt of a peer; any answer but 200 is an error.
func post(ctx context.Context, client *http.Client, url string, payload []byte, id string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if id != "" {
		req.Header.Set("webhook-id", id)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return nil
}

// ceiling is what no worker can be faster than: no database at all.
func (s *stage) ceiling(size, senders int) drainer {
	return drainer{
		name: fmt.Sprintf("net/http POST ceiling, %d at once, no database", senders), share: 1,
		fill: func(context.Context, int) error { return nil },
		start: func(n int) (*process, error) {
			p, _, err := startRole(filepath.Join(s.dir, "ceiling.log"), nil, "ceiling",
				"--url", s.receiver.hooks+hook, "--events", strconv.Itoa(n), "--size", strconv.Itoa(size), "--senders", strconv.Itoa(senders))
			return p, err
		},
	}
}
