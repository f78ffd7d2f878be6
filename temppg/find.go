package temppg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBinaries means that no directory with initdb and postgres was found. InstallCommand says how to get them.
var ErrNoBinaries = errors.New("no PostgreSQL binaries (initdb and postgres) here: " +
	"searched PATH and " + strings.Join(places, ", "))

// places are where systems keep a server's binaries, which most leave out of PATH.
var places = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // PostgreSQL's own packages for Red Hat
	"/usr/bin",                           // Red Hat, Fedora, Arch
	"/usr/libexec/postgresql*",           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
	"/opt/homebrew/bin",
	"/usr/local/opt/postgresql@*/bin", // Homebrew on Intel
	"/usr/local/bin",
	"/usr/local/pgsql/bin", // built from source
}

// installation is a directory with initdb and postgres of one major version.
type installation struct {
	dir   string
	major int
}

// findBinaries gives the directory of the machine's newest installation, or of the wanted major version; where the
// machine has none, of one that was downloaded.
func findBinaries(ctx context.Context, version string) (string, error) {
	installed := installations(ctx, candidates())
	if len(installed) > 0 && version == "" {
		return installed[0].dir, nil
	}
	for _, one := range append(installed, installations(ctx, downloaded())...) {
		if version == "" || version == strconv.Itoa(one.major) {
			return one.dir, nil
		}
	}
	if len(installed) == 0 {
		return "", ErrNoBinaries
	}
	return "", fmt.Errorf("PostgreSQL %s is not installed here; the newest that is: %d", version, installed[0].major)
}

// candidates are the directories to search: PATH, then the places.
func candidates() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range places {
		matches, _ := filepath.Glob(pattern) // only a malformed pattern is an error
		dirs = append(dirs, matches...)
	}
	return dirs
}

// installations are those of the directories that hold a server, newest version first, otherwise in the order given.
func installations(ctx context.Context, dirs []string) []installation {
	var found []installation
	for _, dir := range dirs {
		if major, ok := majorVersion(ctx, dir); ok {
			found = append(found, installation{dir, major})
		}
	}
	slices.SortStableFunc(found, func(a, b installation) int { return b.major - a.major })
	return found
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion asks the directory's postgres for its version; false where initdb or postgres is missing.
func majorVersion(ctx context.Context, dir string) (int, bool) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, false
	}
	said, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, false
	}
	match := versionNumber.FindSubmatch(said)
	if match == nil {
		return 0, false
	}
	major, err := strconv.Atoi(string(match[1]))
	return major, err == nil
}
