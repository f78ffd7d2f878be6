package cli

import (
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// A receiver that is down fails thousands of events a second. Each is in the
// database; of one message the log has the first hundred in a second, and then
// every hundredth.
const firstOfASecond, thenEvery = 100, 100

// newLogger writes to w, one line an entry, without ever waiting for it; Sync waits for what is not yet
// written, see logWriter. Times are RFC 3339 in UTC.
func newLogger(w io.Writer, level, format string) *zap.Logger {
	var lvl zapcore.Level
	_ = lvl.UnmarshalText([]byte(level)) // one of the four words, checked before
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeTime, enc.EncodeDuration = "time", utcTime, zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if format == "console" {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	lines := newLogWriter(w, func(dropped int) error {
		failed := &firstError{w: w}
		log := zap.New(zapcore.NewCore(encoder, failed, zap.WarnLevel), zap.ErrorOutput(zapcore.AddSync(io.Discard)))
		log.Warn("log lines dropped", zap.Int("lines", dropped))
		return failed.err
	})
	core := zapcore.NewCore(encoder, lines, lvl)
	return zap.New(zapcore.NewSamplerWithOptions(core, time.Second, firstOfASecond, thenEvery), zap.ErrorOutput(lines))
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

var utcTime = zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")

// presetFormat is console on a terminal, else json.
func presetFormat(w io.Writer) string {
	if isTerminal(w) {
		return "console"
	}
	return "json"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
