package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// screenWidth is how many columns a line may have: those of COLUMNS, or of the terminal; 0 where the output is
// neither, so that a script gets whole texts.
func (f *flags) screenWidth() int {
	if columns, err := strconv.Atoi(f.env("COLUMNS")); err == nil && columns > 0 {
		return max(columns, 40)
	}
	if file, ok := f.p.Stdout.(*os.File); ok {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			return max(columns, 40)
		}
	}
	return 0
}

// table is rows of cells, the first one its heading. What is too long for the screen is cut in the last column.
type table struct {
	rows  [][]string
	right map[int]bool // columns of numbers
	paint func(row, column int, text string) string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, width int) error {
	columns := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			columns[i] = max(columns[i], utf8.RuneCountInString(cell))
		}
	}
	gap := 2
	if width > 0 && width < 80 {
		gap = 1
	}
	for r, row := range t.rows {
		var line strings.Builder
		used := 0
		for i, cell := range row {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", gap))
				used += gap
			}
			padding := strings.Repeat(" ", columns[i]-utf8.RuneCountInString(cell))
			switch last := i == len(row)-1; {
			case t.right[i]:
				line.WriteString(padding + t.painted(r, i, cell))
			case last && width > 0:
				line.WriteString(t.painted(r, i, cut(cell, max(width-used, 1))))
			case last:
				line.WriteString(t.painted(r, i, cell))
			default:
				line.WriteString(t.painted(r, i, cell) + padding)
			}
			used += columns[i]
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) painted(row, column int, text string) string {
	if t.paint == nil || row == 0 {
		return text
	}
	return t.paint(row, column, text)
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// age is how long ago something was, in its largest unit: 12s, 3m, 5h, 2d. What is to come is "in 3m".
func age(at *time.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	d := now.Sub(*at)
	if d < 0 {
		return "in " + length(-d)
	}
	return length(d)
}

func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// count is a number of events in at most five characters: 99999, 123k, 12M.
func count(n int64) string {
	switch {
	case n < 100_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprintf("%dM", n/1_000_000)
}

// paragraph writes a text in lines that fit the screen. Before the first stands first, which is no wider than
// rest, which stands before the others.
func paragraph(w io.Writer, width int, first, rest, text string) {
	if width == 0 {
		fmt.Fprintf(w, "%s%s\n", first, text)
		return
	}
	fmt.Fprintf(w, "%s%s\n", first, strings.Join(wrap(text, width-utf8.RuneCountInString(rest)), "\n"+rest))
}
