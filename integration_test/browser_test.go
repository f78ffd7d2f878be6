package integration_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The page is tested in a real browser: one Chromium for a test run, and a context of its own, with its
// own cookies, for each person that a test needs.
//
//	WEBHOOK_TEST_BROWSER=required   without a browser these tests fail; .ci/run sets it. Else they are
//	                                skipped, and `make test` names them in its summary
const howToGetABrowser = "no Chromium; to install it: apt-get install chromium fonts-dejavu-core fonts-wqy-microhei, or put chromium, google-chrome or chrome into PATH"

// browserNames are tried in this order: the first two have no window, not even one that is not shown, and take half
// the CPU.
var browserNames = []string{"chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// browserStart is far above what a start takes: it ends a run that has already failed.
const browserStart = time.Minute

// chromium is the browser of this test run.
var chromium struct {
	once sync.Once
	ctx  context.Context // the parent of all tabs
	stop func()
	err  error
}

// browserSlots is how many tests use the browser at once. More would make each of them slower.
var browserSlots = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// browsing are the tests that have a slot. A test with several tabs has one: tests that each had one and waited for
// another would wait for each other.
var browsing sync.Map

// openBrowser waits for its turn and returns the browser, until the test ends.
func openBrowser(t testing.TB) context.Context {
	t.Helper()
	path, err := browserPath(exec.LookPath)
	if err != nil {
		give := t.Skipf
		if os.Getenv("WEBHOOK_TEST_BROWSER") == "required" {
			give = t.Fatalf
		}
		give("not run: %v", err)
	}
	if _, has := browsing.LoadOrStore(t, true); !has {
		browserSlots <- struct{}{}
		t.Cleanup(func() {
			browsing.Delete(t)
			<-browserSlots
		})
	}
	chromium.once.Do(func() { chromium.err = startBrowser(path) })
	if chromium.err != nil {
		t.Fatalf("%s does not start: %v", path, chromium.err)
	}
	return chromium.ctx
}

// browserPath is the first browser that this machine has.
func browserPath(lookPath func(string) (string, error)) (string, error) {
	for _, name := range browserNames {
		if path, err := lookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New(howToGetABrowser)
}

// unusedFeatures of Chromium are off: the two of chromedp's list, and the popup below the address bar, which it has
// even where no window is shown. That is a page with a process of its own, for each tab: it was two thirds of the CPU
// of opening a tab, and half of that of opening a page.
const unusedFeatures = "Translate,BlinkGenPropertyTrees,WebUIOmniboxPopup,WebUIOmniboxAimPopup"

// roomInMemory reports whether Chromium can keep its shared memory in /dev/shm, at less cost than in files of the
// temporary directory. In a container it may have 64 MB, with which Chromium crashes.
func roomInMemory() bool {
	var shm syscall.Statfs_t
	return syscall.Statfs("/dev/shm", &shm) == nil && shm.Bavail*uint64(shm.Bsize) >= 1<<30
}

// startBrowser starts Chromium, without its sandbox where it runs as root.
func startBrowser(path string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("lang", "en-GB"),
		// Every picture has the same letters, whatever screen this is.
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("disable-lcd-text", true),
		chromedp.Flag("disable-features", unusedFeatures),
		chromedp.Flag("disable-dev-shm-usage", !roomInMemory()),
	)
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	chromium.ctx, chromium.stop = ctx, func() {
		cancel()
		release()
	}
	started := make(chan error, 1)
	go func() { started <- chromedp.Do(ctx) }()
	select {
	case err := <-started:
		return err
	case <-time.After(browserStart):
		chromium.stop()
		return context.DeadlineExceeded
	}
}

// stopBrowser ends the browser of this test run, if there is one.
func stopBrowser() {
	if chromium.stop != nil {
		chromium.stop()
	}
}

func TestBrowser_IsSearchedByItsNames(t *testing.T) {
	t.Parallel()
	only := func(has string) func(string) (string, error) {
		return func(name string) (string, error) {
			if name == has {
				return "/bin/" + name, nil
			}
			return "", exec.ErrNotFound
		}
	}
	for _, name := range browserNames {
		if path, err := browserPath(only(name)); path != "/bin/"+name || err != nil {
			t.Errorf("%s was found as %q, %v", name, path, err)
		}
	}
	if _, err := browserPath(only("lynx")); err == nil || err.Error() != howToGetABrowser {
		t.Errorf("without a browser: %v", err)
	}
}
