package cli

import (
	"fmt"
	"io"
	"runtime"
)

// colour reports whether standard output takes colours: https://no-color.org has NO_COLOR.
func (f *flags) colour() bool {
	return isTerminal(f.p.Stdout) && f.env("NO_COLOR") == "" && !f.dumb()
}

// dumb reports that the terminal understands no control sequences, as far as TERM says. On Windows it is not set.
func (f *flags) dumb() bool {
	kind := f.env("TERM")
	return kind == "dumb" || kind == "" && runtime.GOOS != "windows"
}

// screen is the output of the demo, with colour on a terminal.
type screen struct {
	w      io.Writer
	colour bool
}

func (s screen) title(text string)         { fmt.Fprintf(s.w, "\n%s\n\n", s.paint("1", text)) }
func (s screen) item(name, text string)    { fmt.Fprintf(s.w, "  %-11s %s\n", name, text) }
func (s screen) line(f string, a ...any)   { fmt.Fprintf(s.w, "  "+f+"\n", a...) }
func (s screen) green(text string) string  { return s.paint("32", text) }
func (s screen) red(text string) string    { return s.paint("31", text) }
func (s screen) yellow(text string) string { return s.paint("33", text) }
func (s screen) dim(text string) string    { return s.paint("2", text) }

func (s screen) section(title, about string) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint("1", title))
	if about != "" {
		fmt.Fprintf(s.w, "%s\n", s.dim(about))
	}
	fmt.Fprintln(s.w)
}

func (s screen) check(what string, ok bool) bool {
	if ok {
		s.line("%s  %s", s.green("yes"), what)
	} else {
		s.line("%s  %s", s.red("NO "), what)
	}
	return ok
}

func (s screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
