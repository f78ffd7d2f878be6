package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCommandLine_Scripts runs testdata/script: what a person types, and what the built program answers. Each script
// has a database of its own, with the schema and the four roles; its events have the ids 1, 2 and so on.
//
//	sql STATEMENT             as the owner of the database; $RECEIVER in it is replaced
//	receiver STATUS           sets RECEIVER to the URL of one that answers so
//	login ROLE...             from here on DATABASE_URL is that of a new role, LOGIN, to which these are granted
//	database NAME             from here on DATABASE_URL is that of another database of the server
//	width N                   no line of the last output is longer
//	shape COMMAND             the last output is a JSON document as docs/commands.md describes it
//
// The rest is testscript's own: https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript
func TestCommandLine_Scripts(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:               func(env *testscript.Env) error { return setUpScript(env, filepath.Dir(path)) },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sql": scriptSQL, "receiver": scriptReceiver, "login": scriptLogin, "database": scriptDatabase, "width": scriptWidth, "shape": scriptShape,
		},
	})
}

func setUpScript(env *testscript.Env, programs string) error {
	name := randomName("script")
	if err := createDatabase(context.Background(), name, shared.template); err != nil {
		return err
	}
	env.Defer(func() { _ = dropDatabase(name) })
	address := databaseURL(name)
	for name, value := range quick(address) {
		env.Setenv(name, value)
	}
	env.Setenv("OWNER_URL", address)
	env.Setenv("PATH", programs+string(os.PathListSeparator)+env.Getenv("PATH"))
	return execute(address, `select webhook.create_roles()`)
}

func execute(address, statement string, args ...any) error {
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement, args...)
	return err
}

func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	statement := strings.ReplaceAll(strings.Join(args, " "), "$RECEIVER", ts.Getenv("RECEIVER"))
	ts.Check(execute(ts.Getenv("OWNER_URL"), statement))
}

func scriptReceiver(ts *testscript.TestScript, neg bool, args []string) {
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "answered %d %s", status, r.Header.Get("Authorization"))
	}))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

func scriptLogin(ts *testscript.TestScript, neg bool, args []string) {
	name, password := "webhooks_test_"+strings.ToLower(rand.Text()[:12]), strings.ToLower(rand.Text())
	owner := ts.Getenv("OWNER_URL")
	ts.Check(execute(owner, `create role `+name+` login password '`+password+`'`))
	ts.Defer(func() {
		for _, statement := range []string{`drop owned by ` + name, `drop role ` + name} {
			for range 100 { // its session may be ending
				if execute(owner, statement) == nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	for _, role := range args {
		ts.Check(execute(owner, `grant `+role+` to `+name))
	}
	u, err := url.Parse(owner)
	ts.Check(err)
	u.User = url.UserPassword(name, password)
	ts.Setenv("DATABASE_URL", u.String())
	ts.Setenv("LOGIN", name)
}

func scriptDatabase(ts *testscript.TestScript, neg bool, args []string) {
	u, err := url.Parse(ts.Getenv("OWNER_URL"))
	ts.Check(err)
	u.Path = "/" + args[0]
	ts.Setenv("DATABASE_URL", u.String())
}

func scriptWidth(ts *testscript.TestScript, neg bool, args []string) {
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if n := utf8.RuneCountInString(line); n > most {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}

// scriptShape compares a document with the table of its keys in docs/commands.md: each key that is described is there,
// with its type, and no other is.
func scriptShape(ts *testscript.TestScript, neg bool, args []string) {
	page, err := os.ReadFile("../docs/commands.md")
	ts.Check(err)
	described := describedKeys(string(page), args[0])
	if len(described) == 0 {
		ts.Fatalf("docs/commands.md does not describe webhooks %s --json", args[0])
	}
	var document any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &document))
	for _, problem := range compareShape(described, "", document) {
		ts.Fatalf("%s: %s", args[0], problem)
	}
}

// describedKeys are the keys of a command's document with their types: channels[].state is a string.
func describedKeys(page, command string) map[string]string {
	_, rest, _ := strings.Cut(page, "`webhooks "+command+" --json`:\n")
	rest, _, _ = strings.Cut(rest, "\n#")
	keys := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\| ([a-z ]+) \\|").FindAllStringSubmatch(rest, -1) {
		keys[m[1]] = m[2]
	}
	return keys
}

func compareShape(described map[string]string, path string, value any) (problems []string) {
	switch v := value.(type) {
	case map[string]any:
		if described[path] == "object" && path == "payload" {
			return nil // the shape of a payload is that of its event
		}
		prefix := path + "."
		if path == "" {
			prefix = ""
		}
		for name := range v {
			kind, known := described[prefix+name]
			if !known {
				problems = append(problems, prefix+name+" is not described")
			} else if got := kindOf(v[name]); !slices.Contains(strings.Split(kind, " or "), got) && (kind != "time" && kind != "time or null" || !isTime(v[name])) {
				problems = append(problems, fmt.Sprintf("%s is %s, described as %s", prefix+name, got, kind))
			}
			problems = append(problems, compareShape(described, prefix+name, v[name])...)
		}
		for key := range described {
			name, below := strings.CutPrefix(key, prefix)
			if _, there := v[name]; below && !strings.ContainsAny(name, ".[") && !there && key != "payload" {
				problems = append(problems, key+" is missing")
			}
		}
	case []any:
		for _, each := range v {
			problems = append(problems, compareShape(described, path+"[]", each)...)
		}
	}
	return problems
}

func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "list"
	}
	return "object"
}

// isTime: RFC 3339, in UTC.
func isTime(value any) bool {
	text, ok := value.(string)
	_, err := time.Parse(time.RFC3339Nano, text)
	return ok && err == nil && strings.HasSuffix(text, "Z")
}
