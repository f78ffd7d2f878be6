package temppg

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// owner is the user that the server runs as; nil is the current one.
type owner struct {
	uid, gid uint32
}

// serverOwner is the postgres user if the current one is root, as which PostgreSQL refuses to run; nobody where there is
// none, as with binaries that no package has brought.
func serverOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is a value here: the current user
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the server's user: %w", err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the server's user: %w", err)
	}
	return &owner{uint32(uid), uint32(gid)}, nil
}

// tempDir makes a directory in this one that belongs to the owner.
func tempDir(parent string, who *owner) (string, error) {
	if who != nil && !open(parent) {
		parent = "/tmp"
	}
	removeAbandoned(parent)
	dir, err := os.MkdirTemp(parent, dirPattern(os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	if err := who.own(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// open reports whether another user can enter a directory and all those above it; root's TMPDIR may be below /root.
func open(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// own changes the owner of a file or directory.
func (o *owner) own(path string) error {
	if o == nil {
		return nil
	}
	if err := os.Chown(path, int(o.uid), int(o.gid)); err != nil {
		return fmt.Errorf("give %s to the server's user: %w", path, err)
	}
	return nil
}

// writeFile writes a file that only the owner can read.
func (o *owner) writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		return fmt.Errorf("write for PostgreSQL: %w", err)
	}
	return o.own(path)
}
