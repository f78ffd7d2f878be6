package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope/fixtures"
)

// eighthChannel is what a new channel costs: the patch adds task.created on the channel tasks, at
// most once, and CONTRIBUTING.md shows it. Where it no longer applies, make the change with
// git apply --3way; git -c diff.suppressBlankEmpty=true diff --cached -U1 is the new patch.
const eighthChannel = "testdata/eighth_channel.patch"

func TestEighthChannel_PatchIsSmallAndShown(t *testing.T) {
	patch := text(t, eighthChannel)
	count := func(pattern string) int { return len(regexp.MustCompile(`(?m)`+pattern).FindAllString(patch, -1)) }
	files := count(`^diff --git `)
	lines := count(`^[-+]`) - count(`^(---|\+\+\+) `)
	if files > 8 || lines > 60 {
		t.Errorf("it changes %d lines in %d files, expected at most 60 in at most 8", lines, files)
	}
	if !strings.Contains(text(t, "../CONTRIBUTING.md"), "```diff\n"+patch+"```\n") {
		t.Errorf("CONTRIBUTING.md does not show %s as it is", eighthChannel)
	}
}

func TestEighthChannel_DeliversOnAnUpgradedDatabase(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.Contains(r.body, "reject") {
			return 500
		}
		return 200
	})
	db := open(t, emptyDatabase(t))
	db.migrated()
	inEveryState(db)
	before := outboxRows(db)
	tree := patchedTree(t)
	tree.run(t, db, "migrate")
	if after := outboxRows(db); after != before {
		t.Errorf("the upgrade has changed or rewritten rows:\n%s\n%s", before, after)
	}
	created := open(t, emptyDatabase(t))
	tree.run(t, created, "migrate")
	sameCatalog(t, "upgraded", db.catalog(), created.catalog())

	example := tree.example(t, "task.created")
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true where name = 'tasks'`, rcv.URL)
	published, rejected := db.publish("task.created", string(example.Data)), db.publish("task.created", `{"title": "reject"}`)
	db.exec(`update webhook.outbox set occurred_at = $2 where id = $1`, published, example.OccurredAt)
	test := int64(db.number(`select webhook.send_test('tasks')`))
	tree.run(t, db, "run", "--once")
	tree.run(t, db, "run", "--once") // sends nothing again
	if got := rcv.of(published); len(got) != 1 || got[0].path != "/tasks" || got[0].body != string(example.Want) || db.status(published) != "sent" {
		t.Errorf("%s, received %+v, expected once\n%s", db.status(published), got, example.Want)
	}
	if got := rcv.of(rejected); len(got) != 1 || db.status(rejected) != "failed" {
		t.Errorf("the rejected event is %s, received %d times", db.status(rejected), len(got))
	}
	timestamp := regexp.MustCompile(`"timestamp":"[^"]*"`)
	if got := rcv.of(test); len(got) != 1 || timestamp.ReplaceAllString(got[0].body, "") != timestamp.ReplaceAllString(string(example.Want), "") {
		t.Errorf("the test event gave %+v, expected the example once", got)
	}

	// No test lists the events or counts them: those of the copy pass with eight.
	tree.command(t, "go", "test", "./envelope/...", "./outbox", "-run", "Event|Example|Channel")
}

// outboxRows has every row of the outbox with the transaction that wrote it, and the table's file.
func outboxRows(db *database) string {
	db.t.Helper()
	return query[string](db.t, db.address, `select string_agg(xmin || o::text, e'\n' order by id) || pg_relation_filenode('webhook.outbox') from webhook.outbox o`)
}

// tree is a copy of the repository with the eighth channel.
type tree struct{ root string }

func patchedTree(t *testing.T) tree {
	t.Helper()
	list, err := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files, which lists what to copy: %v", err)
	}
	copied := tree{t.TempDir()}
	for _, name := range strings.Split(strings.Trim(string(list), "\x00"), "\x00") {
		copied.add(t, name)
	}
	patch, err := filepath.Abs(eighthChannel)
	if err != nil {
		t.Fatal(err)
	}
	copied.command(t, "git", "apply", patch)
	copied.command(t, "go", "build", "-o", "webhooks", ".")
	return copied
}

// add copies a file; one that was deleted and is not committed yet is left out.
func (c tree) add(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name)) //nolint:gosec // a file of this repository
	if os.IsNotExist(err) {
		return
	}
	to := filepath.Join(c.root, name)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a command in the copy. A repository above it is not the copy's.
func (c tree) command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...) //nolint:gosec // git and go
	cmd.Dir, cmd.Env = c.root, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.root))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
}

// run runs the copy's program.
func (c tree) run(t *testing.T, db *database, args ...string) {
	t.Helper()
	cmd := program(t, quick(db.address), args...)
	cmd.Path = filepath.Join(c.root, "webhooks")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("webhooks %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// example is the copy's example of an event.
func (c tree) example(t *testing.T, event string) fixtures.Case {
	t.Helper()
	examples, err := fixtures.Examples(filepath.Join(c.root, "envelope", "testdata", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		if example.Event == event {
			return example
		}
	}
	t.Fatalf("the patch has no example of %s", event)
	return fixtures.Case{}
}
