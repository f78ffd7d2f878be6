package sender

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// identity is the worker's client certificate. It is renewed while the worker runs, so its files are looked
// at before it is offered, and read again when one of them has changed.
type identity struct {
	certFile, keyFile string // WEBHOOK_CLIENT_CERT_FILE, WEBHOOK_CLIENT_KEY_FILE; empty: none

	mu       sync.Mutex
	looked   time.Time
	versions [2]version
	current  *tls.Certificate
	problem  error // why the files, as they are now, are not used
}

// certificate returns the certificate to offer, nil if there is none. Of a pair that cannot be read or does
// not belong together, as while it is being replaced, the last good one stays.
func (i *identity) certificate() *tls.Certificate {
	if i.certFile == "" {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.Sub(i.looked) >= lookAgain {
		i.looked = now
		i.read()
	}
	return i.current
}

func (i *identity) read() {
	found := [2]version{versionOf(i.certFile), versionOf(i.keyFile)}
	if i.current != nil && found[0].same(i.versions[0]) && found[1].same(i.versions[1]) {
		i.problem = nil
		return
	}
	var pair *tls.Certificate
	if pair, i.problem = LoadClientCertificate(i.certFile, i.keyFile); i.problem == nil {
		i.current, i.versions = pair, found
	}
}

// stale reports whether a connection was made with a certificate that has been replaced.
func (i *identity) stale(offered *tls.Certificate) bool {
	return offered != nil && offered != i.certificate()
}

// LoadClientCertificate reads a certificate and its key, both in PEM form. No error shows a part of the key.
func LoadClientCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, unread(certFile, err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, unread(keyFile, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and its key in PEM form: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// unread is the error of a file that cannot be read, which names it once.
func unread(path string, err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return fmt.Errorf("%s: %w", path, of.Err)
	}
	return err
}

// ClientCertificateProblem returns why the files of the client certificate, as they are now, are not used:
// the last good pair is. Nil: they are, or there are none.
func (s *Sender) ClientCertificateProblem() error {
	own := &s.dialer.identity
	own.certificate()
	own.mu.Lock()
	defer own.mu.Unlock()
	return own.problem
}
