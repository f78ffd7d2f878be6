package temppg

import (
	"fmt"
	"os"
	"path/filepath"
)

// cacheDir is where downloads are kept: in the user's cache; for root, whose home the server's user may not enter, in
// the system's.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if os.Geteuid() == 0 && (err != nil || !open(dir)) {
		dir, err = "/var/cache", nil
	}
	if err != nil {
		return "", fmt.Errorf("find the user's cache: %w", err)
	}
	return filepath.Join(dir, "recordengine-webhooks"), nil
}

// downloaded are the directories with binaries that the cache has.
func downloaded() []string {
	cache, err := cacheDir()
	if err != nil {
		return nil
	}
	dirs, _ := filepath.Glob(filepath.Join(cache, "postgresql-*", "bin")) // only a malformed pattern is an error
	return dirs
}
