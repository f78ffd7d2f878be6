package cli

import (
	"io"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger writes to w without ever waiting for it; Sync waits for what is not yet written, see
// logWriter. How many lines one message may have is bounded, see boundedCore. Times are RFC 3339 in UTC.
func newLogger(w io.Writer, level, format string) *zap.Logger {
	log, _ := newLoggerWithLines(w, level, format)
	return log
}

// newLoggerWithLines also returns what writes the lines.
func newLoggerWithLines(w io.Writer, level, format string) (*zap.Logger, *logWriter) {
	var lvl zapcore.Level
	_ = lvl.UnmarshalText([]byte(level)) // one of the four words, checked before
	encoder := newEncoder(format)
	lines := newLogWriter(w, func(dropped int) error {
		failed := &firstError{w: w}
		log := zap.New(zapcore.NewCore(encoder, failed, zap.WarnLevel), zap.ErrorOutput(zapcore.AddSync(io.Discard)))
		log.Warn("log lines dropped", zap.Int("lines", dropped))
		return failed.err
	})
	core := zapcore.NewCore(encoder, lines, lvl)
	return zap.New(newBoundedCore(core), zap.ErrorOutput(lines)), lines
}

func newEncoder(format string) zapcore.Encoder {
	if format == "console" {
		return newConsole()
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeDuration = "time", zapcore.StringDurationEncoder
	enc.EncodeTime = func(t time.Time, to zapcore.PrimitiveArrayEncoder) { to.AppendString(logTime(t)) }
	return zapcore.NewJSONEncoder(enc)
}

// firstError keeps the error of a write, which zap does not return.
type firstError struct {
	w   io.Writer
	err error
}

func (f *firstError) Write(line []byte) (int, error) {
	n, err := f.w.Write(line)
	f.err = err
	return n, err
}

func (f *firstError) Sync() error { return nil }

// logTime is RFC 3339 with milliseconds.
func logTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// logFormat defines the flag; its help names the default of a terminal and that of all else.
func (f *flags) logFormat() *string {
	preset := presetFormat(f.p.Stderr)
	format := f.choice("log-format", "WEBHOOK_LOG_FORMAT", preset, "how it is logged", "json", "console")
	flag := f.Lookup("log-format")
	flag.Usage = strings.Replace(flag.Usage, "default "+preset, "default console on a terminal, else json", 1)
	return format
}

// presetFormat is console on a terminal, else json.
func presetFormat(w io.Writer) string {
	if isTerminal(w) {
		return "console"
	}
	return "json"
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
