// Webhooks delivers the events that RecordEngine writes into webhook.outbox.
// `webhooks help` lists its commands, the README is the place to start.
package main

import (
	_ "embed"
	"os"

	"github.com/recordengine/webhooks/cli"
)

//go:embed schema.sql
var schema string

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Process{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Schema: schema,
	}))
}
