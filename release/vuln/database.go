package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// official is the database of the Go project.
const official = "https://vuln.go.dev"

// database returns the URL of a database that answers: the one that is set, else the
// official one, else the newest copy of it that the module proxy has. The repository of
// the database is a Go module, and govulncheck reads its folder of reports.
func database(ctx context.Context, set string) (string, error) {
	if set != "" {
		return set, answers(ctx, set)
	}
	err := answers(ctx, official)
	if err == nil {
		return official, nil
	}
	dir, copyErr := copied(ctx)
	if copyErr != nil {
		return "", fmt.Errorf("%w; its copy: %w", err, copyErr)
	}
	return "file://" + filepath.ToSlash(filepath.Join(dir, "data", "osv")), nil
}

// answers returns why a database is not reachable. A folder is left to govulncheck.
func answers(ctx context.Context, db string) error {
	if !strings.HasPrefix(db, "http") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, db+"/index/db.json.gz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", db, resp.Status)
	}
	return nil
}

// copied downloads the newest version of the database's module and returns its folder.
func copied(ctx context.Context) (string, error) {
	said, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", "golang.org/x/vulndb@latest").Output()
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(said, &module); jsonErr != nil || module.Dir == "" {
		return "", fmt.Errorf("go mod download golang.org/x/vulndb: %w %s", err, module.Error)
	}
	return module.Dir, nil
}
