package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// README.md, SECURITY.md and docs/*.md are tested: each block of code is a file of docs/snippets,
// each SQL statement that an operator may copy runs, and each link leads to a file.

// block is a fenced block of a Markdown file.
type block struct {
	file           string
	line           int // of the first line inside
	language, text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", filepath.Base(b.file), b.line) }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)\n```$")

// blocks are the fenced blocks of the README, of SECURITY.md and of docs/*.md.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, file := range markdown(t) {
		content := text(t, file)
		for _, m := range fence.FindAllStringSubmatchIndex(content, -1) {
			all = append(all, block{file, 1 + strings.Count(content[:m[4]], "\n"), content[m[2]:m[3]], content[m[4] : m[5]+1]})
		}
	}
	return all
}

func markdown(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(docs + "/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Markdown in %s: %v", docs, err)
	}
	return append(files, "../README.md", "../SECURITY.md")
}

func TestMarkdown_ShowsTheSnippetsThatRun(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, b := range blocks(t) {
		shown[b.text] = true
	}
	files := map[string]bool{}
	err := filepath.WalkDir(snippets, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content := text(t, path)
		files[content] = true
		if !shown[content] {
			t.Errorf("no block of docs/*.md is the text of %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(t) {
		if slices.Contains([]string{"python", "js", "ts", "php", "go", "java", "csharp", "ruby"}, b.language) && !files[b.text] && !b.saysNotRun(t) {
			t.Errorf("%s: this block is no file of docs/snippets, so that nothing runs it, and the line before does not say so", b)
		}
	}
}

// saysNotRun reports whether the paragraph before a block begins with the sentence that nothing runs it.
func (b block) saysNotRun(t *testing.T) bool {
	t.Helper()
	before := strings.Split(text(t, b.file), "\n")[:b.line-2]
	paragraphs := strings.Split(strings.TrimSpace(strings.Join(before, "\n")), "\n\n")
	return strings.HasPrefix(paragraphs[len(paragraphs)-1], "Not run by our tests.")
}

// readmeDots replaces what the README leaves out.
var readmeDots = strings.NewReplacer(
	`insert into contacts (…) values (…)`, `insert into contacts (contact_id, name) values (8, 'Example Ltd')`)

// ownTransaction is a transaction of the block itself: the test runs one around it.
var ownTransaction = regexp.MustCompile(`(?m)^(begin|commit);$`)

func TestMarkdown_EveryStatementRuns(t *testing.T) {
	t.Parallel()
	db := application(t, "https://hook.example.com")
	db.exec(text(t, snippets+"/receive.sql"))
	db.exec(text(t, "testdata/snippets_outbox.sql"))
	n := 0
	for _, b := range blocks(t) {
		if b.language != "sql" {
			continue
		}
		n++
		t.Run(b.String(), func(t *testing.T) {
			statements := b.text
			if filepath.Base(b.file) == "README.md" {
				statements = readmeDots.Replace(statements)
			}
			if err := rolledBack(t.Context(), db, ownTransaction.ReplaceAllString(statements, "")); err != nil {
				t.Errorf("%s\n%s", complaint(err), b.text)
			}
		})
	}
	if n < 20 {
		t.Errorf("%d blocks of SQL were found: has the Markdown changed its fences?", n)
	}
}

// rolledBack runs statements in a transaction and rolls it back. What they create goes
// into a schema of its own, first in the search_path.
func rolledBack(ctx context.Context, db *database, statements string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var before, after string
	if err := tx.GetContext(ctx, &before, `select pg_current_xact_id()::text`); err != nil {
		return err
	}
	for _, s := range []string{
		`create schema fresh; set local search_path = fresh, public; select webhook.create_roles()`,
		statements,
		`set constraints all immediate`,
	} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := tx.GetContext(ctx, &after, `select pg_current_xact_id()::text`); err != nil {
		return err
	}
	if before != after {
		return errors.New("the block ends the test's transaction: begin; and commit; must stand alone on their lines")
	}
	return nil
}

// complaint is an error with the details of the database.
func complaint(err error) string {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return err.Error()
	}
	return fmt.Sprintf("%s (%s) %s %s at %s", pe.Message, pe.Code, pe.Detail, pe.Hint, pe.Position)
}

// docs/operate.md explains each setting that the program's help lists.
func TestMarkdown_OperatePageNamesEverySetting(t *testing.T) {
	t.Parallel()
	stdout, _, _ := runProgram(t, nil, nil, "help", "environment")
	page := text(t, docs+"/operate.md")
	names := regexp.MustCompile(`(?m)^  (DATABASE_URL|WEBHOOK_[A-Z_]+)\b`).FindAllStringSubmatch(stdout, -1)
	if len(names) < 5 {
		t.Fatalf("webhooks help lists %d settings:\n%s", len(names), stdout)
	}
	for _, name := range names {
		if !strings.Contains(page, "`"+name[1]+"`") {
			t.Errorf("docs/operate.md does not name %s", name[1])
		}
	}
}

func TestMarkdown_LinksResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, file := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text(t, file), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}

// The headings that links lead to exist, under the names that GitHub gives them.
func TestMarkdown_AnchorsExist(t *testing.T) {
	t.Parallel()
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	punctuation := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	anchors := func(file string) map[string]bool {
		all := map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text(t, file), ""), -1) {
			all[strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
		}
		return all
	}
	link := regexp.MustCompile(`\]\(([^)#:]*)#([^)]+)\)`)
	n := 0
	for _, file := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text(t, file), ""), -1) {
			n++
			target := file
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(file), m[1])
			}
			if strings.HasSuffix(target, ".md") && !anchors(target)[m[2]] {
				t.Errorf("%s links to %s#%s, which is no heading", file, m[1], m[2])
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d links to headings were found", n)
	}
}

// The tests that the documents name, as evidence of a promise, exist.
func TestMarkdown_NamedTestsExist(t *testing.T) {
	t.Parallel()
	var prose, code strings.Builder
	for _, file := range markdown(t) {
		prose.WriteString(text(t, file))
	}
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, deeper...) {
		code.WriteString(text(t, file))
	}
	names := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(prose.String(), -1)
	if len(names) < 30 {
		t.Fatalf("only %d tests are named", len(names))
	}
	for _, name := range names {
		if !strings.Contains(code.String(), "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
}
