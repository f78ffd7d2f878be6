package temppg

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func TestStartDownloaded_OnceAndThenFromTheCache(t *testing.T) {
	version, archive := archiveOfBinaries(t)
	cache := emptyCache(t)
	mirror := newMirror(t, archive, sumOf(archive))
	var out bytes.Buffer
	for range 2 {
		s, err := StartDownloaded(t.Context(), Options{Version: version, Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop() })
		if bin := s.engine.(*binaries).bin; !strings.HasPrefix(bin, cache) {
			t.Errorf("the server runs from %s, not from the cache", bin)
		}
		keepsCommittedData(t, s, s.Crash)
	}
	if n := mirror.archives.Load(); n != 1 {
		t.Errorf("the archive was downloaded %d times", n)
	}
	said := fmt.Sprintf("downloading PostgreSQL %s (%.1f MB), once, into %s", releases[version], float64(len(archive))/1e6, cache)
	if strings.Count(out.String(), "\n") != 1 || !strings.HasPrefix(out.String(), said) {
		t.Errorf("it printed %q, not once %q", out.String(), said)
	}

	t.Setenv("PATH", t.TempDir())
	searchOnly(t)
	if bin, err := findBinaries(t.Context(), ""); err != nil || !strings.HasPrefix(bin, cache) {
		t.Errorf("a machine without PostgreSQL does not find the download: %q, %v", bin, err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(left) != 1 {
		t.Errorf("the cache has more than the installation: %v", left)
	}
}

func TestStartDownloaded_KeepsNothingThatIsNotVerified(t *testing.T) {
	const archive = "no archive at all"
	for name, c := range map[string]struct {
		version, sum string
		want         string
	}{
		"another sum":            {"17", sumOf([]byte("other")), "checksums do not match"},
		"no sum":                 {"17", "", "HTTP 404 Not Found for /m2/io/zonky/test/postgres/"},
		"a sum, and no archive":  {"17", sumOf([]byte(archive)), "PostgreSQL 17."},
		"a version of long ago":  {"9", "", `none of version "9"`},
		"a version of the years": {"99", "", `none of version "99"`},
	} {
		t.Run(name, func(t *testing.T) {
			cache := emptyCache(t)
			newMirror(t, []byte(archive), c.sum)
			_, err := StartDownloaded(t.Context(), Options{Version: c.version})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if kept, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(kept) != 0 {
				t.Errorf("the cache has %v", kept)
			}
		})
	}
}

// TestStartDownloaded_KeepsNoPartOfAnArchive: where the archive breaks off or the disk is full, the programs may be there
// and what they need not.
func TestStartDownloaded_KeepsNoPartOfAnArchive(t *testing.T) {
	cache := emptyCache(t)
	archive := archiveThatEnds(t, "17")
	newMirror(t, archive, sumOf(archive))
	_, err := StartDownloaded(t.Context(), Options{Version: "17"})
	if err == nil || !strings.Contains(err.Error(), "unable to extract") {
		t.Errorf("got %v", err)
	}
	if kept, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(kept) != 0 {
		t.Errorf("the cache has %v", kept)
	}
}

func TestStartDownloaded_ShowsNoPasswordOfTheMirror(t *testing.T) {
	emptyCache(t)
	var noArchive bytes.Buffer
	if err := zip.NewWriter(&noArchive).Close(); err != nil {
		t.Fatal(err)
	}
	newMirror(t, noArchive.Bytes(), sumOf(noArchive.Bytes()))
	t.Setenv(MirrorVariable, strings.Replace(os.Getenv(MirrorVariable), "//", "//someone:5ecret@", 1))
	_, err := StartDownloaded(t.Context(), Options{Version: "17"})
	if err == nil || !strings.Contains(err.Error(), "cannot find binary in archive") || strings.Contains(err.Error(), "5ecret") {
		t.Errorf("got %v", err)
	}
}

func TestStartDownloaded_EndsWithItsContext(t *testing.T) {
	emptyCache(t)
	asked, ctx, cancel := make(chan struct{}), context.Context(nil), context.CancelFunc(nil)
	ctx, cancel = context.WithCancel(t.Context())
	release := make(chan struct{})
	mirror := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".jar") {
			close(asked)
			<-release
		}
	}))
	t.Cleanup(mirror.Close)
	t.Cleanup(func() { close(release) })
	t.Setenv(MirrorVariable, mirror.URL)
	go func() { <-asked; cancel() }()
	if _, err := StartDownloaded(ctx, Options{}); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
}

func TestStartAny_SaysWhatFailedAndWhatToType(t *testing.T) {
	emptyCache(t)
	searchOnly(t)
	t.Setenv("PATH", t.TempDir())
	t.Setenv(MirrorVariable, "http://someone:5ecret@127.0.0.1:1/m2")
	var out bytes.Buffer
	_, err := StartAny(t.Context(), Options{Out: &out})
	if err == nil || !strings.HasSuffix(err.Error(), "install PostgreSQL, then repeat: "+InstallCommand()) {
		t.Errorf("the error does not end with the command: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		"no PostgreSQL binaries (initdb and postgres) here: ",
		"no Docker daemon answers the docker command: ",
		"no download of PostgreSQL's binaries: 127.0.0.1:1: ",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d does not begin with %q:\n%s", i, want, out.String())
		}
	}
	if strings.Contains(err.Error()+out.String(), "5ecret") {
		t.Errorf("the mirror's password is shown: %v\n%s", err, out.String())
	}
}

func TestInstallCommand_IsThatOfTheMachine(t *testing.T) {
	for _, c := range []struct{ program, want string }{
		{"apt-get", "apt-get install -y postgresql"}, {"apk", "apk add postgresql"}, {"brew", "brew install postgresql@17"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.program), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		if got := strings.TrimPrefix(InstallCommand(), "sudo "); got != c.want {
			t.Errorf("%s: %s", c.program, got)
		}
	}
}

// mirror is a repository of archives with one archive, whichever is asked for.
type mirror struct {
	archives atomic.Int32 // that were downloaded
}

// newMirror serves an archive and its sum, unless that is empty, as the mirror that the environment names.
func newMirror(t *testing.T, archive []byte, sum string) *mirror {
	t.Helper()
	m := &mirror{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, "/m2/io/zonky/test/postgres/embedded-postgres-binaries-"+runtime.GOOS),
			sum == "" && strings.HasSuffix(r.URL.Path, ".sha256"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			fmt.Fprint(w, sum)
		default:
			w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
			if r.Method == http.MethodGet {
				m.archives.Add(1)
				_, _ = w.Write(archive)
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv(MirrorVariable, server.URL+"/m2/")
	return m
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// emptyCache is a cache for this test alone, which the server's user may enter.
func emptyCache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XDG_CACHE_HOME", "HOME"} { // of Linux, of macOS
		t.Setenv(name, dir)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(dir, "Library", "Caches")
	}
	return dir
}

// searchOnly has the usual places of binaries not searched.
func searchOnly(t *testing.T) {
	t.Helper()
	before := places
	places = nil
	t.Cleanup(func() { places = before })
}
