package instances

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Entry is one line of the list.
type Entry struct {
	Name string // of the instance, as metrics and logs show it
	URL  string // of its database: a secret, which no error shows
}

// name is what an instance may be called: a host name is one.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Parse reads a list: on each line a name, space, and a URL or key=value pairs. Empty lines and those that
// begin with # do not count; a list of nothing else is an error. check is for the URLs. An error names the line and quotes nothing of it but
// a name that is one.
func Parse(text string, check func(url string) error) ([]Entry, error) {
	var list []Entry
	var problems []error
	lines := map[string]int{}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseLine(line, check)
		if err == nil && lines[strings.ToLower(e.Name)] > 0 {
			err = fmt.Errorf("the name %s stands on line %d, too", e.Name, lines[strings.ToLower(e.Name)])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		lines[strings.ToLower(e.Name)] = i + 1
		list = append(list, e)
	}
	if len(list) == 0 && len(problems) == 0 { // more likely a file that is being written than a wish to serve nothing
		return nil, errors.New("it names no database")
	}
	if len(problems) > 3 {
		problems = append(problems[:3], fmt.Errorf("and %d more", len(problems)-3))
	}
	return list, join(problems)
}

func parseLine(line string, check func(url string) error) (Entry, error) {
	at := strings.IndexAny(line, " \t")
	if at < 0 {
		return Entry{}, errors.New("a name and a URL were expected, with a space between them")
	}
	e := Entry{Name: line[:at], URL: strings.TrimSpace(line[at:])}
	if !name.MatchString(e.Name) {
		return Entry{}, errors.New("its name is none: up to 100 letters, digits, dots, hyphens and underscores, the first a letter or digit")
	}
	if err := check(e.URL); err != nil {
		return Entry{}, fmt.Errorf("the URL of %s: %w", e.Name, err)
	}
	if scheme, rest, ok := strings.Cut(e.URL, "://"); ok && strings.Trim(rest, "/") == "" { // a list that is being written
		return Entry{}, fmt.Errorf("the URL of %s: after %s:// a host and a database were expected", e.Name, scheme)
	}
	return e, nil
}

// join is errors.Join on one line.
func join(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// Find returns the entry of a name, whatever its case.
func Find(list []Entry, name string) (Entry, bool) {
	for _, e := range list {
		if strings.EqualFold(e.Name, name) {
			return e, true
		}
	}
	return Entry{}, false
}
