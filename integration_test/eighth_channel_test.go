package integration_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope/fixtures"
	"github.com/recordengine/webhooks/store"
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
	tree.once(t, db)
	tree.once(t, db) // sends nothing again
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

	tree.pageHas(t, db, test)

	// No test lists the events or counts them: those of the copy pass with eight. docs/openapi.yaml follows.
	tree.command(t, "make", "openapi")
	if !strings.Contains(text(t, filepath.Join(tree.root, "docs", "openapi.yaml")), "\n  task.created:\n    post:\n") {
		t.Error("make openapi has not added the event")
	}
	tree.command(t, "go", "test", "-trimpath", "-vet=off", "./envelope/...", "./outbox", "./release/openapi", "-run", "Event|Example|Channel|OpenAPI")
}

// pageHas looks for the channel wherever the page names channels, and sets its URL there. No line of admin/ was
// changed for it.
func (c tree) pageHas(t *testing.T, db *database, test int64) {
	t.Helper()
	db.exec(`select webhook.create_roles()`)
	cmd := c.program(t, pageSettings(t, db), "admin")
	s := siteAt(t, strings.TrimSuffix(startCommand(t, cmd).line(), "/"))
	db.exec(`update webhook.settings set offline_mode = true`)
	db.publish("task.created", `{}`)
	for path, says := range map[string]string{
		settingsPath:                        "Tasks Held URL",
		"/settings/general":                 "Tasks 1 event",
		"/overview":                         "Deliveries of Tasks",
		"/deliveries":                       "Audit Log Tasks Status",
		"/deliveries?channel=tasks":         "task.created Test",
		fmt.Sprintf("/deliveries/%d", test): "Channel Tasks",
		"/deliveries/resend?channel=tasks":  "Channel Tasks",
	} {
		if p := s.get(path); p.status != 200 || !strings.Contains(p.text(), says) {
			t.Errorf("%s: status %d, expected %q in: %s", path, p.status, says, p.text())
		}
	}
	form := s.get(settingsPath).form(settingsPath)
	form.Set("tasks.url", "https://other.example/tasks")
	if saved := s.post(settingsPath, form).follow(); !strings.Contains(saved.text(), "Saved: Tasks.") {
		t.Errorf("it does not save the URL: %s", saved.text())
	}
	form = s.get("/settings/general").form("/settings/general")
	form.Del("offline")
	if asked := s.post("/settings/general", form); !strings.Contains(asked.text(), "Tasks 1 event waits") {
		t.Errorf("it does not ask what becomes of what waits: %s", asked.text())
	}
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
	copied := copiedTree(t)
	patch, err := filepath.Abs(eighthChannel)
	if err != nil {
		t.Fatal(err)
	}
	copied.command(t, "git", "apply", patch)
	copied.build(t)
	return copied
}

func copiedTree(t *testing.T) tree {
	t.Helper()
	list, err := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files, which lists what to copy: %v", err)
	}
	copied := tree{t.TempDir()}
	for _, name := range strings.Split(strings.Trim(string(list), "\x00"), "\x00") {
		copied.add(t, name)
	}
	return copied
}

func (c tree) build(t *testing.T) {
	t.Helper()
	c.command(t, "go", "build", "-trimpath", "-o", "webhooks", ".")
}

// release makes the next version of the copy's schema, and its program.
func (c tree) release(t *testing.T, r release) {
	t.Helper()
	files := os.DirFS(c.root)
	schema := releasedOn(t, store.Schema{Full: text(t, filepath.Join(c.root, "schema.sql")), Upgrades: files}, r)
	names, err := fs.Glob(schema.Upgrades, "upgrades/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	newest, err := fs.ReadFile(schema.Upgrades, names[len(names)-1])
	if err == nil {
		err = os.WriteFile(filepath.Join(c.root, names[len(names)-1]), newest, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.root, "schema.sql"), []byte(schema.Full), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.build(t)
}

// program is a command of the copy's program.
func (c tree) program(t *testing.T, env settings, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, env, args...)
	cmd.Path = filepath.Join(c.root, "webhooks")
	return cmd
}

// start runs a worker of the copy until the test ends.
func (c tree) start(t *testing.T, env settings) *worker {
	t.Helper()
	return startCommand(t, c.program(t, env, "run")).worker
}

// add copies a file; one that was deleted and is not committed yet is left out.
func (c tree) add(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
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
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = c.root, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.root))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
}

// run runs the copy's program.
func (c tree) run(t *testing.T, db *database, args ...string) {
	t.Helper()
	cmd := c.program(t, quick(db.address), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("webhooks %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// once delivers what is due. Some of it fails.
func (c tree) once(t *testing.T, db *database) {
	t.Helper()
	cmd := c.program(t, quick(db.address), "run", "--once")
	if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "of the events that were due") {
		t.Fatalf("webhooks run --once: %v\n%s", err, out)
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
