package cli

import (
	"context"
	"runtime"
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

// versionDocument says which binary this is.
type versionDocument struct {
	Version string `json:"version" about:"that of the release, else of the module, else the commit, else devel"`
	Schema  int    `json:"schema" about:"the version of the schema that it needs"`
	Go      string `json:"go" about:"the version of Go that built it"`
	OS      string `json:"os" about:"the system that it is for, as Go names it"`
	Arch    string `json:"arch" about:"the processor, likewise"`
}

// versionCommand is `webhooks version`.
var versionCommand = command{
	name: "version", group: groupOther, document: versionDocument{},
	about: "print the version of this binary",
	examples: []string{
		"which version is installed: webhooks version",
		"with which Go it was built: webhooks version --json",
	},
	flags: func(f *flags) action {
		asJSON := f.json()
		return func(context.Context, context.Context, []string) error {
			if !*asJSON {
				return writeLine(f.p.Stdout, "webhooks %s", Version())
			}
			schema, err := f.p.Schema.Version()
			if err != nil {
				return err
			}
			return writeJSON(f.p.Stdout, versionDocument{Version: Version(), Schema: schema, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH})
		}
	},
}
