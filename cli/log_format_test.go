package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Each time of the log is RFC 3339 in UTC, wherever the machine is.
func TestLog_TimesAreRFC3339InUTC(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("", 2*60*60)
	defer func() { time.Local = local }()
	at := time.Date(2026, 3, 22, 10, 30, 0, 0, time.Local)
	for _, format := range []string{"json", "console"} {
		w := &failingWriter{}
		log := newLogger(w, "info", format)
		log.Info("entry", zap.Time("since", at), zap.Duration("for", 1500*time.Millisecond))
		_ = log.Sync()
		times := regexp.MustCompile(`\d{4}-\d\d-\d\dT[^ ",]*`).FindAllString(w.String(), -1)
		if len(times) != 2 || times[1] != "2026-03-22T08:30:00.000Z" || !strings.Contains(w.String(), "1.5s") {
			t.Fatalf("%s: %s", format, w)
		}
		if written, err := time.Parse(time.RFC3339, times[0]); err != nil || times[0][23:] != "Z" || time.Since(written).Abs() > time.Minute {
			t.Errorf("%s: written at %s: %v", format, times[0], err)
		}
	}
}

// An entry of the console is read at 100 columns; only a word that is longer exceeds that.
func TestLog_ConsoleFitsHundredColumns(t *testing.T) {
	w := &failingWriter{}
	log := newLogger(w, "info", "console")
	why := strings.Repeat("a certificate of — an unknown authority, ", 8)
	log.Warn("channel failing", zap.String("channel", "contacts"), zap.Int64("id", 7), zap.String("empty", ""),
		zap.String("error", why), zap.Error(errors.New("line\nbreak \x1b[31m")), zap.Strings("names", []string{"a", "b"}))
	log.Info("worker stopped, every outcome recorded")
	_ = log.Sync()
	lines := strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n")
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 100 || strings.ContainsRune(line, '\x1b') {
			t.Errorf("line %d has %d columns: %q", i, n, line)
		}
		if entry := regexp.MustCompile(`^\S+Z (WARN |INFO ) [a-z]`).MatchString(line); entry != (i == 0 || i == len(lines)-1) || !entry && !strings.HasPrefix(line, "    ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
	whole := strings.Join(strings.Fields(w.String()), " ")
	for _, want := range []string{`WARN channel failing channel=contacts id=7 empty="" error="a certificate of — `, `error="line\nbreak \x1b[31m"`, `names="[a b]"`} {
		if !strings.Contains(whole, want) {
			t.Errorf("%q is not in %s", want, w)
		}
	}
}

// However often a message is logged, it has twenty lines in a minute, and then how many were left out.
func TestLog_OneMessageIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &failingWriter{}
		log := zap.New(newBoundedCore(zapcore.NewCore(newEncoder("json"), zapcore.AddSync(w), zap.InfoLevel)))
		count := func(text string) int { return strings.Count(w.String(), text) }
		for i := range 2000 {
			log.Warn("repeated", zap.Int("i", i))
		}
		log.Warn("another")
		if count(`"msg":"repeated"`) != 20 || count("another") != 1 || count("left out") != 0 {
			t.Fatalf("at once: %s", w)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if count(`"log lines left out","message":"repeated","lines":1980}`) != 1 {
			t.Errorf("after a minute: %s", w)
		}
		for range 21 {
			log.Warn("repeated")
		}
		_ = log.Sync()
		if got := fmt.Sprint(count(`"msg":"repeated"`), count(`"lines":1}`)); got != "40 1" {
			t.Errorf("the next minute, and at the end: %s\n%s", got, w)
		}
	})
}
