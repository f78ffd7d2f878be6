package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// verify compares what was shown with what was promised.
func (d *demo) verify(ctx context.Context) error {
	rows, err := d.rows(ctx)
	if err != nil {
		return err
	}
	for len(d.arrived) > 0 { // nothing may have arrived since
		d.received = append(d.received, <-d.arrived)
	}
	sent := 0
	for _, r := range rows {
		if r.Status == "sent" {
			sent++
		}
	}
	committed := len(d.commits)
	first, last := d.documentDeliveries()
	both := first != nil && last != nil
	ok := d.check(fmt.Sprintf("%d events were committed, and the database says that all are sent", committed),
		len(rows) == committed && sent == committed)
	ok = d.check(fmt.Sprintf("%d requests arrived: each event once, the document twice", committed+1), len(d.received) == committed+1) && ok
	ok = d.check("the document was answered with 503 first, and arrived after the next ten-second mark",
		both && first.status == 503 && last.status == 200 && last.at.Unix()/10 > first.at.Unix()/10) && ok
	ok = d.check("both attempts carried the same bytes and the same webhook-id",
		both && bytes.Equal(first.body, last.body) && first.webhookID == last.webhookID) && ok
	ok = d.check("the rolled-back transaction delivered nothing", !d.hasReceived("Ghost")) && ok
	if !ok {
		return errors.New("something above is not true")
	}
	d.line("next: the README shows how to install this beside your own application.")
	return nil
}

// hasReceived reports whether a body contains text.
func (d *demo) hasReceived(text string) bool {
	for _, got := range d.received {
		if bytes.Contains(got.body, []byte(text)) {
			return true
		}
	}
	return false
}

func (d *demo) documentDeliveries() (first, last *delivery) {
	for i := range d.received {
		switch {
		case d.received[i].event != demoDocument:
		case first == nil:
			first = &d.received[i]
		default:
			last = &d.received[i]
		}
	}
	return first, last
}
