package integration_test

import (
	"errors"
	"net/url"
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
	{"Python", "publish.py", "apt install python3-psycopg, or pip install 'psycopg[binary]'", pythonWith("psycopg")},
	{"Node", "publish.mjs", "apt install nodejs node-pg, or npm install pg and set NODE_PATH to its node_modules", node},
	{"PHP", "publish.php", "apt install php-cli php-pgsql", php},
	{"Go", "go/main.go", "Go is what runs this test", goRun},
	{"SQLAlchemy", "publish_sqlalchemy.py", "apt install python3-sqlalchemy python3-psycopg2", pythonWith("sqlalchemy, psycopg2")},
	{"Django", "publish_django.py", "apt install python3-django python3-psycopg2", pythonWith("django, psycopg2")},
	{"ActiveRecord", "publish_activerecord.rb", "apt install ruby-activerecord ruby-pg", ruby},
	{"Laravel", "publish_laravel.php", "apt install php-illuminate-database php-pgsql", laravel},
	{"Java", "Publish.java", "apt install default-jdk-headless libpostgresql-jdbc-java", javaWith("postgresql")},
	{"Spring", "PublishSpring.java", "apt install default-jdk-headless libpostgresql-jdbc-java libspring-jdbc-java",
		javaWith("postgresql", "spring3-jdbc", "spring3-transaction", "spring3-beans", "spring3-core", "commons-logging")},
}

func psql(t *testing.T, file string) (*exec.Cmd, error) {
	path, err := exec.LookPath("psql")
	if err != nil {
		return nil, errors.New("no psql")
	}
	return exec.CommandContext(t.Context(), path, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file), nil
}

// pythonWith is the first interpreter that has the modules: a machine may have another
// python3 beside Debian's, and only Debian's has Debian's packages.
func pythonWith(modules string) func(*testing.T, string) (*exec.Cmd, error) {
	return func(t *testing.T, file string) (*exec.Cmd, error) {
		for _, path := range []string{"/usr/bin/python3", "python3"} {
			if exec.CommandContext(t.Context(), path, "-c", "import "+modules).Run() == nil {
				return exec.CommandContext(t.Context(), path, file), nil
			}
		}
		return nil, errors.New("no python3 that can import " + modules)
	}
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

// laravel is PHP with Laravel's database layer, which Debian has in PHP's include path. What an old
// version of it has that a new PHP deprecates is not printed.
func laravel(t *testing.T, file string) (*exec.Cmd, error) {
	if _, err := php(t, file); err != nil {
		return nil, err
	}
	if exec.CommandContext(t.Context(), "php", "-d", "error_reporting=8191", "-r", "require 'Illuminate/Database/autoload.php';").Run() != nil {
		return nil, errors.New("php has no Illuminate/Database")
	}
	return exec.CommandContext(t.Context(), "php", "-d", "error_reporting=8191", file), nil
}

func ruby(t *testing.T, file string) (*exec.Cmd, error) {
	if exec.CommandContext(t.Context(), "ruby", "-e", "require 'active_record'; require 'pg'").Run() != nil {
		return nil, errors.New("no ruby that can require active_record and pg")
	}
	return exec.CommandContext(t.Context(), "ruby", file), nil
}

// javaWith runs a source file with libraries of Debian.
func javaWith(libraries ...string) func(*testing.T, string) (*exec.Cmd, error) {
	return func(t *testing.T, file string) (*exec.Cmd, error) {
		if _, err := exec.LookPath("javac"); err != nil {
			return nil, errors.New("no JDK")
		}
		var paths []string
		for _, library := range libraries {
			path := "/usr/share/java/" + library + ".jar"
			if _, err := os.Stat(path); err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
		return exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", strings.Join(paths, ":"), file), nil
	}
}

func goRun(t *testing.T, file string) (*exec.Cmd, error) {
	return exec.CommandContext(t.Context(), "go", "run", file), nil
}

// missing skips a test for which the machine lacks a program; with WEBHOOK_TEST_SNIPPETS=all it fails.
func missing(t testing.TB, format string, values ...any) {
	t.Helper()
	if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
		t.Fatalf(format, values...)
	}
	t.Skipf(format, values...)
}

// snippet is the command that runs a snippet. Without its language the test is skipped,
// and `make test` prints the reason in its summary.
func (i interpreter) snippet(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	cmd, err := i.command(t, filepath.Join(snippets, i.file))
	if err != nil {
		missing(t, "docs/snippets/%s was not run: %v; to install it: %s", i.file, err, i.install)
	}
	if strings.HasSuffix(i.file, ".java") {
		address = addressForJDBC(t, address)
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

// addressForJDBC has a role whose password was hashed by PostgreSQL: JDBC refuses fewer than its 4096 iterations
// of SCRAM, of which a temporary server's own role has fewer (temppg/verifier.go).
func addressForJDBC(t *testing.T, address string) string {
	t.Helper()
	db := open(t, address)
	var few bool
	if err := db.Get(&few, `select rolpassword !~ '^SCRAM-SHA-256\$4096:' from pg_authid where rolname = current_user`); err != nil || !few {
		return address // a role that may not look is not ours
	}
	name := randomName("jdbc")
	db.exec(`create role ` + name + ` superuser login password '` + name + `'`)
	t.Cleanup(func() { db.exec(`drop role ` + name) })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, name)
	return u.String()
}
