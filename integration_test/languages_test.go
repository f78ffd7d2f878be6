package integration_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// interpreter is what a snippet needs on the machine.
type interpreter struct {
	language, file string
	install        string // how to install what is missing
	command        func(t *testing.T, file string) (*exec.Cmd, error)
}

var interpreters = []interpreter{
	{"SQL", "publish.sql", "apt install postgresql-client", psql},
	{"Python", "publish.py", "apt install python3-psycopg, or pip install 'psycopg[binary]'", python},
	{"Node", "publish.mjs", "apt install nodejs node-pg, or npm install pg and set NODE_PATH to its node_modules", node},
	{"PHP", "publish.php", "apt install php-cli php-pgsql", php},
	{"Go", "go/main.go", "Go is what runs this test", goRun},
}

func psql(t *testing.T, file string) (*exec.Cmd, error) {
	path, err := exec.LookPath("psql")
	if err != nil {
		return nil, errors.New("no psql")
	}
	return exec.CommandContext(t.Context(), path, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file), nil
}

// python is the first interpreter that has the driver: a machine may have another
// python3 beside Debian's, and only Debian's has Debian's packages.
func python(t *testing.T, file string) (*exec.Cmd, error) {
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), path, "-c", "import psycopg").Run() == nil {
			return exec.CommandContext(t.Context(), path, file), nil
		}
	}
	return nil, errors.New("no python3 that can import psycopg")
}

// node runs a copy that has the driver in a node_modules beside it, where an import
// searches; what the driver itself requires is found through NODE_PATH.
func node(t *testing.T, file string) (*exec.Cmd, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("no node")
	}
	for _, modules := range append(filepath.SplitList(os.Getenv("NODE_PATH")), "/usr/share/nodejs") {
		if _, err := os.Stat(filepath.Join(modules, "pg")); err != nil {
			continue
		}
		dir := t.TempDir()
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		copied := filepath.Join(dir, filepath.Base(file))
		if err := errors.Join(os.WriteFile(copied, source, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(t.Context(), path, copied)
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		return cmd, nil
	}
	return nil, errors.New("no module pg, neither in NODE_PATH nor in /usr/share/nodejs")
}

func php(t *testing.T, file string) (*exec.Cmd, error) {
	modules, err := exec.CommandContext(t.Context(), "php", "-m").Output()
	if err != nil {
		return nil, errors.New("no php")
	}
	if !strings.Contains(string(modules), "pdo_pgsql") {
		return nil, errors.New("php has no pdo_pgsql")
	}
	return exec.CommandContext(t.Context(), "php", file), nil
}

func goRun(t *testing.T, file string) (*exec.Cmd, error) {
	return exec.CommandContext(t.Context(), "go", "run", file), nil
}

// snippet is the command that runs a snippet. Without its language the test is skipped,
// and `make test` prints the reason in its summary.
func (i interpreter) snippet(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	cmd, err := i.command(t, filepath.Join(snippets, i.file))
	if err != nil {
		give := t.Skipf
		if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
			give = t.Fatalf
		}
		give("docs/snippets/%s was not run: %v; to install it: %s", i.file, err, i.install)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+address, "PGTZ=Asia/Shanghai")
	if i.language == "SQL" {
		cmd.Args = append(cmd.Args, address)
	}
	return cmd
}
