package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// mirror is the bench's end of the receiver.
type mirror struct {
	*process
	hooks  string // http://127.0.0.1:port, to which a path is added
	orders string
}

func startReceiver(dir string) (*mirror, error) {
	p, line, err := startRole(filepath.Join(dir, "receiver.log"), nil, "receiver")
	if err != nil {
		return nil, err
	}
	hooks, orders, _ := strings.Cut(line, " ")
	return &mirror{process: p, hooks: "http://" + hooks, orders: "http://" + orders}, nil
}

// reset forgets everything and says how each path behaves from now on.
func (m *mirror) reset(ctx context.Context, want int, paths map[string]behaviour) error {
	body, err := json.Marshal(order{Paths: paths, Want: int64(want)})
	if err != nil {
		return err
	}
	return m.ask(ctx, "/reset", body, nil)
}

// listen opens one more address for payloads.
func (m *mirror) listen(ctx context.Context, address string) error {
	return m.ask(ctx, "/listen?address="+address, nil, nil)
}

// wait returns when the wanted posts have arrived.
func (m *mirror) wait(ctx context.Context, limit time.Duration) (t tally, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err = m.ask(ctx, "/wait", nil, &t); err != nil && ctx.Err() != nil {
		so, _ := m.tally(context.WithoutCancel(ctx))
		err = fmt.Errorf("%d posts within %s: fewer than expected", so[""].Posts, limit)
	}
	return t, err
}

// tally is what each path has met; "" stands for all that are counted.
func (m *mirror) tally(ctx context.Context) (t map[string]tally, err error) {
	err = m.ask(ctx, "/tally", nil, &t)
	return t, err
}

// receipts are the arrivals that were noted, by path.
func (m *mirror) receipts(ctx context.Context) (r map[string][]receipt, err error) {
	err = m.ask(ctx, "/receipts", nil, &r)
	return r, err
}

func (m *mirror) ask(ctx context.Context, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.orders+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the receiver: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("the receiver: %s", text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
