package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is one that the program or its tests are built from.
type module struct {
	path, version, dir string
	licences           []string // SPDX identifiers
	texts              []string
}

// systems are those that the program is released for: each has packages of its own.
var systems = []string{"linux", "darwin", "windows"}

// modules returns those of the program, Go's standard library first, and those of its
// tests only.
func modules() (program, tests []*module, err error) {
	inProgram, inTests := map[string]*module{}, map[string]*module{}
	for _, system := range systems {
		if err := list(inProgram, system, "."); err != nil {
			return nil, nil, err
		}
		if err := list(inTests, system, "-test", "./..."); err != nil {
			return nil, nil, err
		}
	}
	maps.DeleteFunc(inTests, func(path string, _ *module) bool { return inProgram[path] != nil })
	root, err := exec.Command("go", "env", "GOROOT").Output() //nolint:noctx // it ends by itself
	if err != nil {
		return nil, nil, fmt.Errorf("go env: %w", err)
	}
	std := &module{path: "Go's standard library", version: "that of the build", dir: strings.TrimSpace(string(root))}
	return append([]*module{std}, sorted(inProgram)...), sorted(inTests), nil
}

func sorted(all map[string]*module) []*module {
	return slices.SortedFunc(maps.Values(all), func(a, b *module) int { return cmp.Compare(a.path, b.path) })
}

// list adds the modules of packages, and of what they import, on a system.
func list(all map[string]*module, system string, args ...string) error {
	const form = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}"
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", form}, args...)...) //nolint:noctx,gosec // it ends by itself; the arguments are above
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w", system, err)
	}
	for line := range strings.Lines(string(said)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			all[f[0]] = &module{path: f[0], version: f[1], dir: f[2]}
		}
	}
	return nil
}

// licenceFile is the name of a file with a licence; LICENSE.docs is of a module's documents.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)([-.].*)?$`)

// findLicences reads a module's licences, and the notices that go with them.
func (m *module) findLicences() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	for _, e := range entries {
		isLicence := licenceFile.MatchString(e.Name()) && !strings.HasSuffix(e.Name(), ".docs")
		if e.IsDir() || !isLicence && !strings.EqualFold(e.Name(), "NOTICE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		m.texts = append(m.texts, tidy(string(text)))
		if !isLicence {
			continue
		}
		l := classify(string(text))
		if l == "" {
			return fmt.Errorf("%s: the licence in %s is not known", m.path, e.Name())
		}
		m.licences = append(m.licences, l)
	}
	if len(m.licences) == 0 {
		return fmt.Errorf("%s has no file with a licence", m.path)
	}
	slices.Sort(m.licences)
	m.licences = slices.Compact(m.licences)
	return nil
}

// tidy is a text without a trailing space and with one kind of line ends.
func tidy(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \t\r\n\f") + "\n")
	}
	return strings.Trim(b.String(), "\n")
}

// notice is a text and the modules that it belongs to.
type notice struct {
	modules []string
	text    string
}

// notices are the texts of modules, each once.
func notices(all []*module) (found []*notice) {
	byText := map[string]*notice{}
	for _, m := range all {
		for _, text := range m.texts {
			n := byText[text]
			if n == nil {
				n = &notice{text: text}
				byText[text], found = n, append(found, n)
			}
			n.modules = append(n.modules, m.path)
		}
	}
	return found
}
