package cli

import (
	"runtime/debug"
	"testing"
)

func TestVersion_FromTheBuild(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	settings := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}
	}
	for want, info := range map[string]*debug.BuildInfo{
		"1.2.3":              {Main: debug.Module{Version: "v1.2.3"}, Settings: settings("false")},
		"0123456789ab":       {Main: debug.Module{Version: "(devel)"}, Settings: settings("false")},
		"0123456789ab+dirty": {Settings: settings("true")},
		"devel":              {Main: debug.Module{Version: "(devel)"}},
	} {
		if got := versionOf(info); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestVersion_OfTheReleaseWins(t *testing.T) {
	version = "9.8.7"
	defer func() { version = "" }()
	if got := Version(); got != "9.8.7" {
		t.Errorf("got %s", got)
	}
}
