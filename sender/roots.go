package sender

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// roots are the authorities to trust. A private authority is renewed while the
// worker runs, so its file is looked at before a connection is made, and read
// again when it has changed.
type roots struct {
	base     *x509.CertPool // given by the caller
	system   string         // SSL_CERT_FILE, which stands in for the system's own file
	besides  string         // WEBHOOK_CA_FILE
	mu       sync.Mutex
	looked   time.Time
	versions [2]version
	current  *x509.CertPool // nil means the system's
}

// version tells two contents of a file apart.
type version struct {
	size int64
	at   time.Time
	is   os.FileInfo
}

// lookAgain is how often the files are looked at, at most.
const lookAgain = 100 * time.Millisecond

func newRoots(o Options) *roots {
	r := &roots{base: o.RootCAs, besides: o.CAFile}
	if o.RootCAs == nil {
		r.system = os.Getenv("SSL_CERT_FILE")
		_, _ = x509.SystemCertPool() // read once for ever, so not at a moment without a free file
	}
	r.current = o.RootCAs
	return r
}

// pool returns the authorities; nil means the system's. A file that cannot be
// read, or holds no certificate at the moment, leaves the authorities as they were.
func (r *roots) pool() *x509.CertPool {
	if r.system == "" && r.besides == "" {
		return r.base
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.looked) >= lookAgain {
		r.looked = now
		found := [2]version{versionOf(r.system), versionOf(r.besides)}
		if !found[0].same(r.versions[0]) || !found[1].same(r.versions[1]) {
			if pool, err := r.load(); err == nil {
				r.current, r.versions = pool, found
			}
		}
	}
	return r.current
}

func versionOf(path string) version {
	info, err := os.Stat(path)
	if err != nil {
		return version{}
	}
	return version{info.Size(), info.ModTime(), info}
}

func (v version) same(other version) bool {
	return v.size == other.size && v.at.Equal(other.at) && (v.is == nil) == (other.is == nil) && (v.is == nil || os.SameFile(v.is, other.is))
}

func (r *roots) load() (*x509.CertPool, error) {
	pool, err := r.start()
	if err != nil || r.besides == "" {
		return pool, err
	}
	return pool, addFile(pool, r.besides)
}

// start returns the authorities without those of WEBHOOK_CA_FILE.
func (r *roots) start() (*x509.CertPool, error) {
	switch {
	case r.base != nil:
		return r.base.Clone(), nil
	case r.system == "":
		return x509.SystemCertPool()
	}
	// As crypto/x509 does, which reads SSL_CERT_FILE only once.
	pool := x509.NewCertPool()
	dirs := "/etc/ssl/certs:/etc/pki/tls/certs"
	if set := os.Getenv("SSL_CERT_DIR"); set != "" {
		dirs = set
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, file := range files {
			if pem, err := os.ReadFile(file); err == nil {
				pool.AppendCertsFromPEM(pem)
			}
		}
	}
	return pool, addFile(pool, r.system)
}

// CheckCAFile returns why a file holds no authorities.
func CheckCAFile(path string) error { return addFile(x509.NewCertPool(), path) }

func addFile(pool *x509.CertPool, path string) error {
	pem, err := os.ReadFile(path)
	switch {
	case err != nil:
		return unread(path, err)
	case !pool.AppendCertsFromPEM(pem):
		return fmt.Errorf("%s: no certificate in PEM form", path)
	}
	return nil
}
