package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
)

// errAttention is the result of a check that found something.
var errAttention = errors.New("check: needs attention")

// checkDocument is what a check found.
type checkDocument struct {
	Attention bool      `json:"attention" about:"something needs attention: the level of a finding is bad, and the exit status is 3"`
	Findings  []finding `json:"findings" about:"what was checked, in that order"`
}

// checkCommand is `webhooks check`: everything that can be known without sending.
var checkCommand = command{
	name: "check", group: groupRead, document: checkDocument{},
	about: "examine database, schema, privileges, workers and each endpoint",
	text: "It sends nothing: of an endpoint it tries the name, the connection and the certificate. A line begins with ok, warn (worth a look), " +
		"BAD (events wait or fail), or ? (it cannot be judged from here); below it stands what fixes it.\n\n" +
		"Run it as the worker: with its role, its settings, on its machine. What is set for the workers alone is read from webhook.workers.",
	exits: "1 failed, 3 needs attention",
	examples: []string{
		"with the settings of the worker: webhooks check",
		"in a script: webhooks check >check.txt || mail -s 'webhooks need attention' ops@example.com <check.txt",
	},
	flags: func(f *flags) action {
		cfg, database, asJSON := f.worker(), f.database(), f.json()
		return func(_, stop context.Context, _ []string) error { return check(stop, f, cfg, *database, *asJSON) }
	},
}

func check(ctx context.Context, f *flags, cfg *workerConfig, database string, asJSON bool) error {
	if err := cfg.check(); err != nil {
		return err
	}
	db, err := f.open(database)
	if err != nil {
		return err
	}
	defer db.Close()
	d := doctor{db: db, w: f.p.Stdout, width: f.screenWidth()}
	if asJSON {
		d.w = io.Discard
	}
	d.settings(f)
	d.all(ctx, f.p, cfg)
	if asJSON {
		if err := writeJSON(f.p.Stdout, checkDocument{Attention: d.needsAttention(), Findings: d.findings}); err != nil {
			return err
		}
	}
	if d.needsAttention() {
		return errAttention
	}
	return nil
}

// all checks what the role of this command is for: a worker, an administrator or an owner sees all, a
// reader what it may read.
func (d *doctor) all(ctx context.Context, p Process, cfg *workerConfig) {
	if !d.database(ctx) {
		return
	}
	role := d.privileges(ctx)
	if role.Exists && !role.Reads || !d.schema(ctx, p) {
		return
	}
	if role.Absent != "" {
		d.bad("schema", "%s", strings.TrimPrefix(absent(role).Error(), "schema: "))
		return
	}
	d.ids(ctx)
	d.server(ctx, role.Role)
	d.identity(cfg.identity)
	if cfg.proxy != nil {
		d.ok("egress proxy", "endpoints are reached through %s", cfg.proxy)
	}
	workers := d.workers(ctx, cfg, role.Missing == "")
	if role.SeesURLs {
		d.secrets(ctx, cfg, role.Missing == "")
		d.clock(ctx)
		d.adopt(cfg, workers)
	}
	d.alerts(ctx, cfg, workers, role.Reads)
	d.channels(ctx, cfg, role.SeesURLs)
	d.events(ctx)
	d.cleanUp(ctx, len(workers) > 0)
}

// The levels of a finding.
const (
	levelOK      = "ok"
	levelWarn    = "warn"
	levelBad     = "bad"
	levelUnknown = "unknown" // it cannot be judged from here
)

// finding is one thing that was checked.
type finding struct {
	Level string  `json:"level" about:"ok, warn, bad, or unknown: it cannot be judged from here"`
	About string  `json:"about" about:"database, schema, workers, …, or a channel"`
	Text  string  `json:"text" about:"what was found, in words"`
	Fix   *string `json:"fix" about:"what fixes it: a command, or what to do"`
}

// doctor collects findings, and prints each as a line.
type doctor struct {
	db       *sqlx.DB
	w        io.Writer
	width    int // of the screen; 0: none
	findings []finding
}

// findingIndent stands before what belongs to the line above.
const findingIndent = "      "

// cutCommand cuts the command off with which a text ends, so that it stays in one line and can be copied.
func cutCommand(text string) (prose, command string) {
	if i := strings.LastIndex(text, "webhooks "); i >= 0 && !strings.Contains(text[i:], ". ") && !strings.HasSuffix(text, ".") {
		return strings.TrimSpace(text[:i]), text[i:]
	}
	return text, ""
}

func (d *doctor) find(level, label, about, text string) *finding {
	text = inCommands(text)
	d.findings = append(d.findings, finding{Level: level, About: about, Text: text})
	paragraph(d.w, d.width, fmt.Sprintf("%-5s ", label), findingIndent, about+": "+text)
	return &d.findings[len(d.findings)-1]
}

func (d *doctor) ok(about, format string, args ...any) {
	d.find(levelOK, "ok", about, fmt.Sprintf(format, args...))
}

func (d *doctor) warn(about, format string, args ...any) {
	d.find(levelWarn, "warn", about, fmt.Sprintf(format, args...))
}

func (d *doctor) bad(about, format string, args ...any) {
	d.find(levelBad, "BAD", about, fmt.Sprintf(format, args...))
}

func (d *doctor) unknown(about, format string, args ...any) {
	d.find(levelUnknown, "?", about, fmt.Sprintf(format, args...))
}

// fix says what to do about the newest finding.
func (d *doctor) fix(format string, args ...any) {
	newest := &d.findings[len(d.findings)-1]
	fix := inCommands(fmt.Sprintf(format, args...))
	newest.Fix = &fix
	prose, command := cutCommand(fix)
	if d.width == 0 || len(findingIndent)+utf8.RuneCountInString(fix) <= d.width {
		prose, command = "", fix
	}
	if prose != "" {
		paragraph(d.w, d.width, findingIndent, findingIndent, prose)
	}
	if command != "" {
		fmt.Fprintln(d.w, findingIndent+command)
	}
}

func (d *doctor) needsAttention() bool {
	for _, f := range d.findings {
		if f.Level == levelBad {
			return true
		}
	}
	return false
}

// schema reports whether the database has the schema of this binary.
func (d *doctor) schema(ctx context.Context, p Process) bool {
	notice, err := store.CompareSchema(ctx, d.db, p.Schema)
	switch {
	case err != nil:
		d.bad("schema", "%s", strings.TrimPrefix(err.Error(), "schema: "))
		return false
	case notice != "":
		d.ok("schema", "%s", notice)
	default:
		d.ok("schema", "up to date")
	}
	return true
}

// settings names the variables that are probably misspelt.
func (d *doctor) settings(f *flags) {
	for _, name := range f.unknownSettings() {
		d.warn("settings", "%s is unknown%s", name, didYouMean(name, settingNames()))
	}
}
