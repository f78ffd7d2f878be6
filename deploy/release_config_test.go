package deploy

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The sums of a release's binaries are those of `make build VERSION=…`, which anyone can repeat.
func TestRelease_BuildsAsMakeDoes(t *testing.T) {
	variable := one(t, "Makefile", `STAMP = .*-ldflags '-X (\S+)=\$\(VERSION\)'`)
	if got := one(t, ".goreleaser.yaml", `(?m)^    ldflags: \["-X (\S+)=\{\{ \.Version \}\}"\]`); got != variable {
		t.Errorf("the release sets %s, make %s", got, variable)
	}
	for _, flag := range []string{"-trimpath", "-buildvcs=false", "CGO_ENABLED=0"} {
		for _, name := range []string{"Makefile", ".goreleaser.yaml"} {
			if !strings.Contains(file(t, name), flag) {
				t.Errorf("%s does not build with %s", name, flag)
			}
		}
	}
	if flags := one(t, ".goreleaser.yaml", `(?m)^    flags: \[(.*?)\]`); flags != "-trimpath, -buildvcs=false" {
		t.Errorf("the release builds with %s", flags)
	}
}

func TestRelease_IsForEachSystem(t *testing.T) {
	systems := one(t, "release/licences/modules.go", `(?m)^var systems = \[\]string\{(.*)\}`)
	if got := one(t, ".goreleaser.yaml", `(?m)^    goos: \[(.*)\]`); got != strings.ReplaceAll(systems, `"`, "") {
		t.Errorf("it is released for %s, and licences are listed for %s", got, systems)
	}
	if got := one(t, ".goreleaser.yaml", `(?m)^    goarch: \[(.*)\]`); got != "amd64, arm64" {
		t.Errorf("it is released for %s", got)
	}
}

// The texts of the licences go with each copy, as most of them require.
func TestRelease_FilesExist(t *testing.T) {
	files := regexp.MustCompile(`src: ([^,\s]+)`).FindAllStringSubmatch(file(t, ".goreleaser.yaml"), -1)
	var all []string
	for _, f := range files {
		found, err := filepath.Glob(filepath.Join("..", f[1]))
		if err != nil || len(found) == 0 {
			t.Errorf("there is no %s", f[1])
		}
		all = append(all, found...)
	}
	for _, needed := range []string{"../LICENSE", "../docs/licences.md", "../SECURITY.md", "../CHANGELOG.md", "../deploy/systemd/webhooks.service"} {
		if !slices.Contains(all, needed) {
			t.Errorf("an archive has no %s", needed)
		}
	}
}

// What docs/operate.md promises of the service.
func TestRelease_ServiceIsBoundAndHardened(t *testing.T) {
	const unit = "deploy/systemd/webhooks.service"
	for setting, want := range map[string]string{
		"LimitNOFILE":        "4096", // seven channels of 128 slots need 920
		"TimeoutStopSec":     "45",   // the worker stops within 35
		"Restart":            "always",
		"DynamicUser":        "yes",
		"NoNewPrivileges":    "yes",
		"ProtectSystem":      "strict",
		"RestrictNamespaces": "yes",
	} {
		if got := one(t, unit, `(?m)^`+setting+`=(.*)$`); got != want {
			t.Errorf("%s: %s=%s, want %s", unit, setting, got, want)
		}
	}
	if strings.Contains(file(t, unit), "SystemCallFilter=~@resources") {
		t.Error("the worker could not raise its limit of open files")
	}
}

// The change log has what is not released yet, and groups that Keep a Changelog knows.
func TestRelease_ChangelogHasItsForm(t *testing.T) {
	log := file(t, "CHANGELOG.md")
	if !strings.Contains(log, "\n## [Unreleased]\n") {
		t.Error("CHANGELOG.md has no [Unreleased]")
	}
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(log, -1) {
		if !slices.Contains([]string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, m[1]) {
			t.Errorf("CHANGELOG.md has a group %q", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## \[(.*?)\](.*)$`).FindAllStringSubmatch(log, -1) {
		if m[1] != "Unreleased" && !regexp.MustCompile(`^ - \d{4}-\d\d-\d\d$`).MatchString(m[2]) {
			t.Errorf("CHANGELOG.md: version %s has no date", m[1])
		}
		if !strings.Contains(log, "\n["+m[1]+"]: https://") {
			t.Errorf("CHANGELOG.md: version %s has no link", m[1])
		}
	}
}

// A tool has one version everywhere, and SECURITY.md names the Go of the release.
func TestRelease_VersionsAgree(t *testing.T) {
	sbom := one(t, "Makefile", `CYCLONEDX = (\S+@v\S+)`)
	if got := one(t, ".goreleaser.yaml", `args: \[run, (\S+@v\S+),`); got != sbom {
		t.Errorf("the release makes its SBOM by %s, make by %s", got, sbom)
	}
	compiler := one(t, ".goreleaser.yaml", `GOTOOLCHAIN=(\S+)`)
	if got := one(t, "SECURITY.md", `GOTOOLCHAIN=(\S+) make build`); got != compiler {
		t.Errorf("SECURITY.md names %s, the release is built with %s", got, compiler)
	}
	if least := one(t, "go.mod", `(?m)^go (1\.\d+)`); !regexp.MustCompile(`^go1\.\d+\.\d+$`).MatchString(compiler) || compiler < "go"+least {
		t.Errorf("%s does not name one Go from %s", compiler, least)
	}
}

// A new dependency needs a reason.
func TestDependencies_EachHasAReason(t *testing.T) {
	_, table, _ := strings.Cut(file(t, "README.md"), "| dependency | why |")
	required := one(t, "go.mod", `(?s)require \(\n([^)]*?)\n\)\n\nrequire`)
	for line := range strings.Lines(required) {
		path, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(table, strings.TrimPrefix(path, "github.com/")) {
			t.Errorf("README.md has no reason for %s", path)
		}
	}
}
