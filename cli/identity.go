package cli

import (
	"crypto/x509"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/sender"
)

// identity is the worker's client certificate: WEBHOOK_CLIENT_CERT_FILE and WEBHOOK_CLIENT_KEY_FILE.
type identity struct{ certFile, keyFile string }

func (f *flags) identity(i *identity) {
	for _, file := range []struct {
		path               *string
		flag, env, meaning string
	}{
		{&i.certFile, "client-cert-file", "WEBHOOK_CLIENT_CERT_FILE", "the worker's certificate, for receivers that request one"},
		{&i.keyFile, "client-key-file", "WEBHOOK_CLIENT_KEY_FILE", "its key"},
	} {
		set := func(path string) error { *file.path = path; return nil }
		f.fromEnv(file.env, set)
		f.setting(file.flag, "file", file.meaning+" ("+file.env+")", set)
	}
}

func (i identity) check() error {
	switch {
	case i.certFile == "" && i.keyFile == "":
		return nil
	case i.keyFile == "":
		return usagef("WEBHOOK_CLIENT_KEY_FILE is not set, and WEBHOOK_CLIENT_CERT_FILE is: a certificate needs its key")
	case i.certFile == "":
		return usagef("WEBHOOK_CLIENT_CERT_FILE is not set, and WEBHOOK_CLIENT_KEY_FILE is: a key needs its certificate")
	}
	if _, err := sender.LoadClientCertificate(i.certFile, i.keyFile); err != nil {
		return usagef("WEBHOOK_CLIENT_CERT_FILE, WEBHOOK_CLIENT_KEY_FILE: %v", err)
	}
	return nil
}

// identity says until when the worker's own certificate is valid.
func (d *doctor) identity(i identity) {
	if i.certFile == "" {
		return
	}
	pair, err := sender.LoadClientCertificate(i.certFile, i.keyFile)
	if err != nil {
		d.bad("client certificate", "%v", err)
		return
	}
	own, err := x509.ParseCertificate(pair.Certificate[0])
	ends := ""
	if err == nil {
		ends = own.NotAfter.UTC().Format(time.RFC3339)
	}
	switch now := time.Now(); {
	case err != nil:
		d.bad("client certificate", "%v", err)
	case now.After(own.NotAfter):
		d.bad("client certificate", "it has expired on %s; renew %s", ends, i.certFile)
	case now.Before(own.NotBefore):
		d.bad("client certificate", "it is not valid before %s", own.NotBefore.UTC().Format(time.RFC3339))
	default:
		d.ok("client certificate", "valid until %s", ends)
	}
}

// identityLog logs that the files of the client certificate cannot be used, when that begins or changes
// and every minute.
type identityLog struct {
	sender *sender.Sender
	log    *zap.Logger
	said   string
	logged time.Time
}

// note is part of each cycle.
func (l *identityLog) note() {
	err := l.sender.ClientCertificateProblem()
	switch {
	case err == nil:
		l.said = ""
	case err.Error() != l.said || time.Since(l.logged) >= logProblemEvery:
		l.said, l.logged = err.Error(), time.Now()
		l.log.Warn("client certificate unusable, the last good one stays in use", zap.Error(err))
	}
}
