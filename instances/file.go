package instances

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is the file of a list. Its content is compared, not its time: a secret of Kubernetes is a link that is
// replaced.
type File struct {
	Path  string
	Check func(url string) error // see Parse

	text string // as it was read last
	read bool
}

// Read returns the list, and whether it differs from the one that was read before. With an error the list
// before stays the one to serve.
func (f *File) Read() (list []Entry, changed bool, err error) {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		var file *fs.PathError
		if errors.As(err, &file) {
			err = file.Err
		}
		return nil, false, fmt.Errorf("%s: %w", f.Path, err)
	}
	if f.read && string(text) == f.text {
		return nil, false, nil
	}
	list, err = Parse(string(text), f.Check)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.text, f.read = string(text), true
	return list, true, nil
}
