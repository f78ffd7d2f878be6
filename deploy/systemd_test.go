package deploy

import (
	"os"
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

// TestSystemd_DropInForManyDatabasesIsValid: docs/instances.md has it. With it the unit neither asserts nor loads the file
// of a single URL.
func TestSystemd_DropInForManyDatabasesIsValid(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "apt-get install systemd")
	_, text, _ := strings.Cut(file(t, "docs/instances.md"), "```ini\n")
	text, _, ok := strings.Cut(text, "```")
	if !ok {
		t.Fatal("docs/instances.md has no drop-in")
	}
	dir := t.TempDir()
	dropIn := filepath.Join(dir, "webhooks.service.d", "override.conf")
	verify := func(text string) (problems []string) {
		t.Helper()
		write(t, dropIn, text)
		out, _ := attempt(t, nil, analyze, "verify", "--man=no", filepath.Join(dir, "webhooks.service"))
		for line := range strings.Lines(out) {
			if strings.Contains(line, "override.conf") {
				problems = append(problems, line)
			}
		}
		return problems
	}
	write(t, filepath.Join(dir, "webhooks.service"), file(t, "deploy/systemd/webhooks.service"))
	if problems := verify(text); problems != nil {
		t.Error(problems)
	}
	if problems := verify(text + "Nonsense=1\n"); len(problems) != 1 {
		t.Errorf("the drop-in was not read: %q", problems)
	}
	for _, line := range regexp.MustCompile(`(?m)^(AssertPathExists|LoadCredential|Environment)=.*database-url$`).FindAllString(file(t, "deploy/systemd/webhooks.service"), -1) {
		setting, value, _ := strings.Cut(line, "=")
		reset := "\n" + setting + "=\n"
		if setting == "Environment" { // it adds to what the unit has; an empty variable counts as none
			name, _, _ := strings.Cut(value, "=")
			reset = "\nEnvironment=" + name + "=\n"
		}
		if !strings.Contains("\n"+text, reset) {
			t.Errorf("the drop-in leaves %s in force", line)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
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
