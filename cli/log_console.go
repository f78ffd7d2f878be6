package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// How wide an entry of the console is, and where its further lines begin.
const (
	consoleWidth  = 100
	consoleIndent = 4
)

// console is the format for people: time, level and message, then the fields as key=value, on further
// lines where they do not fit.
type console struct {
	*zapcore.MapObjectEncoder // unused: the loggers of this program have no fields of their own
}

func newConsole() zapcore.Encoder { return console{zapcore.NewMapObjectEncoder()} }

// Clone is part of zapcore.Encoder.
func (c console) Clone() zapcore.Encoder { return newConsole() }

var consoleBuffers = buffer.NewPool()

// EncodeEntry is part of zapcore.Encoder.
func (c console) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line := consoleBuffers.Get()
	column := 0
	put := func(text string) { line.AppendString(text); column += utf8.RuneCountInString(text) }
	put(logTime(entry.Time) + " " + fmt.Sprintf("%-5s ", entry.Level.CapitalString()) + entry.Message)
	for _, word := range consoleWords(fields) {
		if column+1+utf8.RuneCountInString(word) > consoleWidth {
			line.AppendByte('\n')
			column = 0
			put(strings.Repeat(" ", consoleIndent-1))
		}
		put(" " + word)
	}
	line.AppendByte('\n')
	return line, nil
}

// consoleWords are the fields, in pieces between which a line may break.
func consoleWords(fields []zapcore.Field) (words []string) {
	for _, f := range fields {
		value := zapcore.NewMapObjectEncoder()
		f.AddTo(value)
		for key, v := range value.Fields {
			words = append(words, strings.Split(key+"="+consoleText(v), " ")...)
		}
	}
	return words
}

// consoleText is a value as text, in quotes where its end would not be seen without them.
func consoleText(v any) string {
	var text string
	switch v := v.(type) {
	case time.Time:
		text = logTime(v)
	case []byte:
		text = string(v)
	default:
		text = fmt.Sprint(v)
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
