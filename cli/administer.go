package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
)

// admins defines the flags of a command that needs the database as an administrator has it, and returns how
// it gets that.
func (f *flags) admins() func(ctx context.Context, do func(*store.Admin) error) error {
	database, keys := f.database(), f.secretKeys()
	return func(ctx context.Context, do func(*store.Admin) error) error {
		return withDatabase(ctx, f, *database, func(db *sqlx.DB) error {
			return do(store.NewAdmin(db, f.p.Schema).UseKeys(keys))
		})
	}
}

// errUnconfirmed: a person was asked, and did not say yes.
var errUnconfirmed = errors.New("nothing was changed")

// confirm asks a person on a terminal. A script must have said --yes.
func (f *flags) confirm(stop context.Context, question string, yes bool) error {
	return f.confirmOr(stop, question, yes, fmt.Sprintf("%s: standard input is no terminal, so nothing can be confirmed, and nothing was changed: add --yes, or --dry-run to only look", f.name))
}

// confirmOr says something else where no person can be asked.
func (f *flags) confirmOr(stop context.Context, question string, yes bool, otherwise string) error {
	if yes {
		return nil
	}
	if !isTerminal(f.p.Stdin) {
		return usagef("%s", otherwise)
	}
	fmt.Fprintf(f.p.Stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(f.p.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
	case <-stop.Done():
		fmt.Fprintln(f.p.Stderr)
	}
	return errUnconfirmed
}

// progress shows how far something is, on a terminal.
type progress struct {
	w     io.Writer // nil: nothing is shown
	shown bool
}

func (f *flags) progress() *progress {
	if !isTerminal(f.p.Stderr) || f.dumb() {
		return &progress{}
	}
	return &progress{w: f.p.Stderr}
}

// progressWidth is how many characters the bar has; with its numbers it fits 60 columns.
const progressWidth = 30

// show replaces the line. Where expected is the least of what there is (more), the bar does not fill.
func (p *progress) show(done, expected int64, more bool) {
	if p.w == nil {
		return
	}
	p.shown = true
	if expected == 0 {
		fmt.Fprintf(p.w, "\r%d ", done)
		return
	}
	full, atLeast := int(min(done, expected)*progressWidth/expected), ""
	if more {
		full, atLeast = min(full, progressWidth-1), "+"
	}
	fmt.Fprintf(p.w, "\r[%s%s] %d of %d%s ", strings.Repeat("#", full), strings.Repeat(".", progressWidth-full), done, max(expected, done), atLeast)
}

// end leaves the line as it is; what follows begins on a new one.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.w)
	}
	p.shown = false
}
