package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// logged is a message of the log with the level and the fields of each call that logs it.
type logged map[string]map[string]bool

// program's packages, as `go list` has them.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct{ Main bool }
}

// logCalls reads the source of every package of the program for calls of zap's loggers. What it cannot judge is an
// error: a message, level or field that is no constant, a logger with fields of its own.
func logCalls(t *testing.T) logged {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,Module", "..")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	var own []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main {
			own = append(own, p)
		}
	}
	files := token.NewFileSet()
	from := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	all := logged{}
	for _, p := range own {
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, file)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
		if _, err := (&types.Config{Importer: from}).Check(p.ImportPath, files, parsed, info); err != nil {
			t.Fatal(err)
		}
		for _, file := range parsed {
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if err := all.read(info, call); err != nil {
						t.Errorf("%s: %v", files.Position(call.Pos()), err)
					}
				}
				return true
			})
		}
	}
	return all
}

// zapFunc is the name of what a call calls, if that is of zap: "Logger.Info", "Int64".
func zapFunc(info *types.Info, call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != "go.uber.org/zap" {
		return ""
	}
	if receiver := f.Signature().Recv(); receiver != nil {
		of := types.Unalias(receiver.Type())
		if p, ok := of.(*types.Pointer); ok {
			of = p.Elem()
		}
		return of.(*types.Named).Obj().Name() + "." + f.Name()
	}
	return f.Name()
}

var (
	logMethods  = map[string]string{"Logger.Debug": "debug", "Logger.Info": "info", "Logger.Warn": "warn", "Logger.Error": "error"}
	quietMethod = []string{"Logger.Sync", "Logger.Core"}
)

func (l logged) read(info *types.Info, call *ast.CallExpr) error {
	name := zapFunc(info, call)
	level, logs := logMethods[name]
	switch {
	case logs:
	case name == "Logger.With" && len(call.Args) == 1:
		if field, ok := call.Args[0].(*ast.CallExpr); !ok || zapFunc(info, field) != "String" || constantOf(info, field) != "instance" {
			return errors.New("zap's Logger.With: a logger has no field of its own but instance")
		}
		return nil
	case strings.HasPrefix(name, "Logger.") && !slices.Contains(quietMethod, name) || strings.HasPrefix(name, "SugaredLogger.") ||
		slices.Contains([]string{"L", "S", "NewStdLog", "NewStdLogAt", "RedirectStdLog"}, name):
		return fmt.Errorf("zap's %s: log with Debug, Info, Warn or Error of a Logger", name)
	default:
		return nil
	}
	message := info.Types[call.Args[0]].Value
	if message == nil {
		return errors.New("the message is no constant")
	}
	var fields []string
	for _, arg := range call.Args[1:] {
		field, ok := arg.(*ast.CallExpr)
		if !ok {
			return fmt.Errorf("a field is no call of zap's")
		}
		kind := zapFunc(info, field)
		switch key := constantOf(info, field); {
		case kind == "Error":
			fields = append(fields, "`error`")
		case kind == "" || kind == "Inline" || kind == "Skip" || key == "":
			return fmt.Errorf("a field whose name is no constant")
		default:
			fields = append(fields, "`"+key+"`")
		}
	}
	key := constant.StringVal(message)
	if l[key] == nil {
		l[key] = map[string]bool{}
	}
	l[key][level+" | "+strings.Join(fields, ", ")] = true
	return nil
}

func constantOf(info *types.Info, call *ast.CallExpr) string {
	if len(call.Args) == 0 || info.Types[call.Args[0]].Value == nil || info.Types[call.Args[0]].Value.Kind() != constant.String {
		return ""
	}
	return constant.StringVal(info.Types[call.Args[0]].Value)
}

// docs/logs.md has each message of the log with its level and its fields, and what to do, and no others.
func TestLog_EachMessageIsDocumented(t *testing.T) {
	t.Parallel()
	documented := logged{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (debug|info|warn|error) \\| ([^|]*?) ?\\| ([^|]+) \\| ([^|]*?) ?\\|$").FindAllStringSubmatch(text(t, docs+"/logs.md"), -1) {
		if documented[m[1]] != nil {
			t.Errorf("docs/logs.md has %q twice", m[1])
		}
		documented[m[1]] = map[string]bool{m[2] + " | " + m[3]: true}
	}
	calls := logCalls(t)
	if len(calls) < 30 {
		t.Fatalf("only %d messages were found", len(calls))
	}
	for _, message := range slices.Sorted(maps.Keys(calls)) {
		if !maps.Equal(calls[message], documented[message]) {
			t.Errorf("%q is logged with %v, docs/logs.md has %v", message, slices.Sorted(maps.Keys(calls[message])), slices.Sorted(maps.Keys(documented[message])))
		}
	}
	for message := range documented {
		if calls[message] == nil {
			t.Errorf("docs/logs.md explains %q, which is not logged", message)
		}
	}
	if page := text(t, docs+"/logs.md"); strings.Count(page, "\n| `") != len(documented) {
		t.Errorf("%d rows of docs/logs.md were read, it has %d", len(documented), strings.Count(page, "\n| `"))
	}
}
