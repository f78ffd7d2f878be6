package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags of `bench`. The sizes come from one word, and each may
// be set by itself.
type options struct {
	sections []section
	rounds   int
	events   int           // a drained backlog
	finished []int         // rows that are finished already, in turn
	blocked  int           // pending rows of a channel that delivers nothing
	shown    int           // finished rows behind the page
	steady   time.Duration // each measurement of something that goes on and on
	silence  time.Duration // before the first event after a silence; at least steady
	hour     time.Duration // what the hour of steady load is squeezed into
	traffic  time.Duration // steady traffic under each condition
	root     string
	out      string
	document string
	profile  string
}

// sizes are what the words of --size mean. The short one is for a first look,
// the long one takes hours.
var sizes = map[string]options{
	"short":  {rounds: 1, events: 10_000, finished: []int{0, 100_000}, blocked: 50_000, shown: 100_000, steady: 5 * time.Second, hour: 20 * time.Second, traffic: 20 * time.Second},
	"normal": {rounds: 3, events: 100_000, finished: []int{0, 1_000_000}, blocked: 1_000_000, shown: 10_000_000, steady: 20 * time.Second, hour: 3 * time.Minute, traffic: 2 * time.Minute},
	"long":   {rounds: 5, events: 100_000, finished: []int{0, 1_000_000, 10_000_000}, blocked: 1_000_000, shown: 10_000_000, steady: 30 * time.Second, hour: 6 * time.Minute, traffic: 10 * time.Minute},
}

func parseOptions(args []string) (options, error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	size := f.String("size", "normal", "short, normal or long: what the other sizes are where they are not given")
	names := f.String("section", "", "sections, separated by commas: "+strings.Join(sectionNames(), ", ")+" (all)")
	rounds := f.Int("rounds", 0, "rounds of each comparison; medians count")
	events := f.Int("events", 0, "a backlog to drain, in events")
	finished := f.String("finished", "", "finished rows in the table, in turn, such as 0,1000000,10000000")
	blocked := f.Int("blocked", 0, "pending rows of a channel that delivers nothing")
	shown := f.Int("shown", 0, "finished rows behind the page")
	steady := f.Duration("steady", 0, "how long each steady measurement lasts")
	silence := f.Duration("silence", 0, "how long nothing happens before the first event after a silence (at least as long as --steady)")
	hour := f.Duration("hour", 0, "what the hour of steady load is squeezed into")
	traffic := f.Duration("traffic", 0, "how long steady traffic lasts under each condition")
	root := f.String("root", "..", "the repository: where the worker is built from")
	out := f.String("out", "results.md", "the Markdown file to write")
	document := f.String("document", "", "a document whose tables are replaced between their markers")
	profile := f.String("profile", ".", "where the section profile writes its files")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	o, ok := sizes[*size]
	if !ok {
		return options{}, fmt.Errorf("--size %q is none of short, normal, long", *size)
	}
	o.root, o.out, o.document, o.profile = *root, *out, *document, *profile
	for _, given := range []struct {
		value  int
		option *int
	}{{*rounds, &o.rounds}, {*events, &o.events}, {*blocked, &o.blocked}, {*shown, &o.shown}} {
		if given.value > 0 {
			*given.option = given.value
		}
	}
	if *steady > 0 {
		o.steady = *steady
	}
	o.silence = max(*silence, o.steady)
	if *hour > 0 {
		o.hour = *hour
	}
	if *traffic > 0 {
		o.traffic = *traffic
	}
	var err error
	if *finished != "" {
		if o.finished, err = numbers(*finished); err != nil {
			return options{}, fmt.Errorf("--finished: %w", err)
		}
	}
	o.sections, err = chosen(*names)
	return o, err
}

func numbers(list string) (all []int, err error) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of rows", word)
		}
		all = append(all, n)
	}
	return all, nil
}

func chosen(names string) (some []section, err error) {
	if names == "" {
		for _, s := range sections {
			if !s.onRequest {
				some = append(some, s)
			}
		}
		return some, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		at := slices.IndexFunc(sections, func(s section) bool { return s.name == strings.TrimSpace(name) })
		if at < 0 {
			return nil, fmt.Errorf("--section %q is none of %s", name, strings.Join(sectionNames(), ", "))
		}
		some = append(some, sections[at])
	}
	return some, nil
}
