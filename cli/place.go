package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/recordengine/webhooks/admin"
)

// placeFlag is where the list begins: the id of a delivery, or what placeText wrote.
type placeFlag struct{ admin.ListPlace }

func (p *placeFlag) String() string { return "" }

// Type stands in the help.
func (p *placeFlag) Type() string { return "id" }

// Set reads a place.
func (p *placeFlag) Set(text string) error {
	parts := strings.Split(text, "/")
	malformed := fmt.Errorf("%q is neither the id of an event nor a place that webhooks list has named", text)
	if len(parts) == 1 {
		parts = append(parts, "", "", "")
	}
	if len(parts) != 4 {
		return malformed
	}
	var ids [2]int64
	var instants [2]time.Time
	for i := range 2 {
		var err error
		if word := parts[i*3]; word != "" {
			if ids[i], err = strconv.ParseInt(word, 10, 64); err != nil || ids[i] < 1 {
				return malformed
			}
		}
		if word := parts[1+i]; word != "" {
			if instants[i], err = time.Parse(time.RFC3339Nano, word); err != nil {
				return malformed
			}
		}
	}
	if ids[0] == 0 && instants[1].IsZero() {
		return malformed
	}
	p.Before, p.Below, p.From, p.To = ids[0], ids[1], instants[0].UTC(), instants[1].UTC()
	return nil
}

// placeText is a place as --before has it: an id, or in a search that goes by time what it needs beside.
func placeText(p admin.ListPlace) string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	id := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	if p.From.IsZero() && p.To.IsZero() && p.Below == 0 {
		return id(p.Before)
	}
	return id(p.Before) + "/" + at(p.From) + "/" + at(p.To) + "/" + id(p.Below)
}
