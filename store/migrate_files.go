package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
)

// Schema is what a binary knows of the database's schema: what a new database
// gets, and the upgrades that bring an older one to the same.
type Schema struct {
	Full     string // schema.sql
	Upgrades fs.FS  // holds upgrades/0002_name.sql and so on; version 1 has no file
}

// upgrade is one numbered file.
type upgrade struct {
	file      string
	version   int
	minWorker int // the oldest worker, by the version of its schema, that works with it
	text      string
	checksum  string // SHA-256
}

var (
	upgradeName   = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)
	minWorkerLine = regexp.MustCompile(`(?m)^-- min_worker: (\d+)$`)
	versionLine   = regexp.MustCompile(`^-- .*, version (\d+)\.\n`)
)

// Version is the version of a new database: that of the newest upgrade. The
// error names the file at fault.
func (s Schema) Version() (int, error) {
	upgrades, err := s.upgrades()
	return 1 + len(upgrades), err
}

// upgrades reads the files in their order, which leaves no number out, and
// checks that schema.sql says to be of the newest version.
func (s Schema) upgrades() (all []upgrade, err error) {
	files, err := fs.Glob(s.Upgrades, "upgrades/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		u, err := readUpgrade(s.Upgrades, file)
		if err != nil {
			return nil, err
		}
		if want := i + 2; u.version != want {
			return nil, fmt.Errorf("%s: its number is %d, the next one is %d", file, u.version, want)
		}
		all = append(all, u)
	}
	version := strconv.Itoa(1 + len(all))
	if header := versionLine.FindStringSubmatch(s.Full); len(header) != 2 || header[1] != version {
		return nil, fmt.Errorf(`schema.sql: its first line must end with ", version %s."`, version)
	}
	return all, nil
}

func readUpgrade(files fs.FS, file string) (upgrade, error) {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return upgrade{}, err
	}
	name := upgradeName.FindStringSubmatch(path.Base(file))
	if name == nil {
		return upgrade{}, fmt.Errorf("%s: its name must be like 0002_add_something.sql", file)
	}
	worker := minWorkerLine.FindSubmatch(text)
	if worker == nil {
		return upgrade{}, fmt.Errorf("%s: it must have a line like -- min_worker: 1", file)
	}
	u := upgrade{file: file, text: string(text)}
	u.version, _ = strconv.Atoi(name[1])
	if u.minWorker, err = strconv.Atoi(string(worker[1])); err != nil || u.minWorker > u.version {
		return upgrade{}, fmt.Errorf("%s: min_worker %s is above its own version %d", file, worker[1], u.version)
	}
	sum := sha256.Sum256(text)
	u.checksum = hex.EncodeToString(sum[:])
	return u, nil
}
