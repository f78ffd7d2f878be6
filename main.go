// Webhooks delivers the events that RecordEngine writes into webhook.outbox.
// `webhooks help` lists its commands, the README is the place to start.
package main

import (
	"embed"
	"os"

	"github.com/recordengine/webhooks/cli"
	"github.com/recordengine/webhooks/store"
)

//go:embed schema.sql
var schema string

//go:embed upgrades
var upgrades embed.FS

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Process{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		Schema: store.Schema{Full: schema, Upgrades: upgrades},
	}))
}
