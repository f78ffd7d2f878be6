package deploy

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSystemd_UnitsAreHardened: an exposure below 2.0, as systemd itself counts.
func TestSystemd_UnitsAreHardened(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "apt-get install systemd")
	for _, unit := range []string{"webhooks.service", "webhooks-page.service"} {
		if out, err := attempt(t, nil, analyze, "security", "--offline=true", "--threshold=20", "deploy/systemd/"+unit); err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// TestSystemd_UnitsHaveNoUnknownSetting, and both protect the system alike.
func TestSystemd_UnitsHaveNoUnknownSetting(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "apt-get install systemd")
	for _, unit := range []string{"webhooks.service", "webhooks-page.service"} {
		out, _ := attempt(t, nil, analyze, "verify", "--man=no", "deploy/systemd/"+unit)
		for line := range strings.Lines(out) { // the program is not installed here
			if !strings.Contains(line, "Command webhooks is not executable") && strings.Contains(line, unit) {
				t.Error(line)
			}
		}
	}
	protections := func(unit string) []string {
		_, text, _ := strings.Cut(file(t, "deploy/systemd/"+unit), "\nDynamicUser=")
		text = strings.ReplaceAll(text, "~@privileged @resources", "~@privileged") // the page raises no limit
		return strings.Split(text, "\n")
	}
	if !slices.Equal(protections("webhooks.service"), protections("webhooks-page.service")) {
		t.Error("the units differ in how they protect the system")
	}
}

// TestPackages_ScriptsRestartNothing: a worker of a new version needs its schema first.
func TestPackages_ScriptsRestartNothing(t *testing.T) {
	scripts, err := filepath.Glob("package/*.sh")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("%v %v", scripts, err)
	}
	for _, script := range scripts {
		command(t, nil, "sh", "-n", "deploy/"+script)
		if found := regexp.MustCompile(`(?m)^\s*systemctl .*\b(start|restart|try-restart|enable)\b.*$`).FindString(file(t, "deploy/"+script)); found != "" {
			t.Errorf("%s runs %q", script, found)
		}
	}
}
