// Command progress reads `go test -json` and prints what a reader waits for: each slow test and
// each package as it ends, everything that a failed test printed, the reason of each skipped test,
// and a summary. Its exit status is 0 if every package passed.
package main

import (
	"bufio"
	"flag"
	"io"
	"os"
	"time"
)

func main() {
	slow := flag.Duration("slow", 2*time.Second, "how long a passed test takes that has its own line")
	note := flag.String("note", "", "a line for the summary")
	flag.Parse()
	if !run(os.Stdin, os.Stdout, *slow, *note) {
		os.Exit(1)
	}
}

// run reports the stream as it comes and says whether all passed.
func run(in io.Reader, out io.Writer, slow time.Duration, note string) bool {
	r := newReport(out, slow)
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		r.line(line)
		if err != nil {
			return r.summary(note)
		}
	}
}
