package temppg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// MirrorVariable names, in the environment, a mirror of Maven Central: where StartDownloaded finds its archives.
const MirrorVariable = "WEBHOOK_POSTGRES_MIRROR"

const (
	mavenCentral   = "https://repo1.maven.org/maven2"
	defaultMajor   = "17"
	downloadWithin = 10 * time.Minute
)

// releases are what is downloaded for each major version. The version of the library in go.mod fixes them.
var releases = map[string]embedded.PostgresVersion{
	"13": embedded.V13, "14": embedded.V14, "15": embedded.V15, "16": embedded.V16, "17": embedded.V17, "18": embedded.V18,
}

// ErrNoDownload means that PostgreSQL's binaries could not be downloaded.
var ErrNoDownload = errors.New("no download of PostgreSQL's binaries")

// StartDownloaded runs a new, empty server from binaries that are downloaded once, verified by their SHA-256, and kept
// in the user's cache, where Start finds them, too. The error is ErrNoDownload where they cannot be had.
func StartDownloaded(ctx context.Context, options Options) (*Server, error) {
	if options.Version == "" {
		options.Version = defaultMajor
	}
	kept, err := download(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDownload, err)
	}
	return startFrom(ctx, filepath.Join(kept, "bin"), options)
}

// download returns the directory of an installation in the cache, which is there already or put there.
func download(ctx context.Context, options Options) (kept string, err error) {
	release, ok := releases[options.Version]
	if !ok || runtime.GOOS == "windows" {
		return "", fmt.Errorf("there is none of version %q for %s", options.Version, runtime.GOOS)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	kept = filepath.Join(cache, "postgresql-"+string(release))
	if works(ctx, kept, options.Version) {
		return kept, nil
	}
	ctx, cancel := context.WithTimeout(ctx, downloadWithin)
	defer cancel()
	mirror := strings.TrimSuffix(cmp.Or(os.Getenv(MirrorVariable), mavenCentral), "/")
	size, err := examine(ctx, mirror+archivePath(string(release)))
	if err != nil {
		return "", err
	}
	options.say("downloading PostgreSQL %s (%s), once, into %s", release, size, kept)
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // the user that the server runs as reads it
		return "", fmt.Errorf("make the cache: %w", err)
	}
	removeAbandoned(cache)
	dir, err := os.MkdirTemp(cache, dirPattern(os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a directory for the download: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a later call removes it
	complete, err := fetch(ctx, mirror, release, options.Version, dir)
	if err != nil {
		return "", err
	}
	if err := os.Rename(complete, kept); err != nil && !works(ctx, kept, options.Version) { // else another process was quicker
		return "", fmt.Errorf("keep the download: %w", err)
	}
	return kept, nil
}

// works reports whether a directory has an installation of this major version that runs here.
func works(ctx context.Context, dir, version string) bool {
	major, ok := majorVersion(ctx, filepath.Join(dir, "bin"))
	return ok && strconv.Itoa(major) == version
}

// fetch has the library download the archive, compare its SHA-256, and extract it below dir. The library does this first
// in Start, and offers it nowhere else. Its server is not wanted: it survives a parent that is killed, and never runs
// for root. So its data directory has nothing except a version, with which Start ends after the extraction. That was
// complete if the directory for the server's files is there, which Start makes next.
func fetch(ctx context.Context, mirror string, release embedded.PostgresVersion, version, dir string) (string, error) {
	data, run, complete := filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "postgresql")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", fmt.Errorf("prepare the download: %w", err)
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(version+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("prepare the download: %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	config := embedded.DefaultConfig().Version(release).BinaryRepositoryURL(mirror).CachePath(dir).BinariesPath(complete)
	config = config.RuntimePath(run).DataPath(data).Port(uint32(port)).Logger(io.Discard) //nolint:gosec // a port
	ended := make(chan error, 1)
	go func() { ended <- embedded.NewDatabase(config).Start() }() // it knows no context
	select {
	case err = <-ended:
	case <-ctx.Done():
		return "", fmt.Errorf("download PostgreSQL: %w", ctx.Err())
	}
	if _, extracted := os.Stat(run); extracted != nil || !works(ctx, complete, version) {
		return "", fmt.Errorf("PostgreSQL %s: %s", release, strings.ReplaceAll(fmt.Sprint(err), mirror, "the mirror")) // its URL may hold a password
	}
	return complete, nil
}

// examine returns the size of an archive. Without the file of its SHA-256 beside it the library would compare nothing:
// that is an error here.
func examine(ctx context.Context, archive string) (size string, err error) {
	length, err := ask(ctx, http.MethodHead, archive)
	if err != nil {
		return "", err
	}
	if _, err := ask(ctx, http.MethodGet, archive+".sha256"); err != nil {
		return "", err
	}
	if length < 0 {
		return "of unknown size", nil
	}
	return fmt.Sprintf("%.1f MB", float64(length)/1e6), nil
}

// ask returns the length of what a URL answers with.
func ask(ctx context.Context, method, address string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, nil) //nolint:gosec // the operator names the mirror
	if err != nil {
		return 0, fmt.Errorf("%s is no URL of a mirror", MirrorVariable) // its text may hold a password
	}
	answer, err := http.DefaultClient.Do(request) //nolint:gosec // the same
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // the whole would name the URL
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w (%s names a mirror)", request.URL.Host, err, MirrorVariable)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: HTTP %s for %s", request.URL.Host, answer.Status, request.URL.Path)
	}
	return answer.ContentLength, nil
}

// archivePath is where the library finds an archive in the repository: by system, architecture and C library.
func archivePath(release string) string {
	architecture := runtime.GOARCH
	if architecture == "arm64" {
		architecture = "arm64v8"
	}
	if _, err := os.Stat("/etc/alpine-release"); err == nil && runtime.GOOS == "linux" {
		architecture += "-alpine"
	}
	name := "embedded-postgres-binaries-" + runtime.GOOS + "-" + architecture
	return "/io/zonky/test/postgres/" + name + "/" + release + "/" + name + "-" + release + ".jar"
}
