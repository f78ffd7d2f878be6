package cli

import (
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger writes to w, one line an entry. Times are RFC 3339 in UTC.
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
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), lvl))
}

var utcTime = zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")

// presetFormat is console for a person, json for a machine.
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
