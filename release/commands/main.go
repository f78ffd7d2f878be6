// Commands writes docs/commands.md; `make commands` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/recordengine/webhooks/cli"
)

func main() {
	if err := cli.WriteReference(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
