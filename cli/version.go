package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

// version is set by a release: -ldflags "-X github.com/recordengine/webhooks/cli.version=1.2.3".
var version string

// Version is the version of this binary, which receivers see in User-Agent: that
// of the release, else of the module, else the commit, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	commit := setting["vcs.revision"]
	switch {
	case commit == "":
		return "devel"
	case setting["vcs.modified"] == "true":
		return commit[:min(12, len(commit))] + "+dirty"
	}
	return commit[:min(12, len(commit))]
}

// runVersion is `webhooks version`.
func runVersion(_, _ context.Context, p Process, args []string) error {
	if err := newFlags(p, "version", "").parse(args, 0); err != nil {
		return err
	}
	fmt.Fprintln(p.Stdout, "webhooks", Version())
	return nil
}
