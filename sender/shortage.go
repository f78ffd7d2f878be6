package sender

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// shortages are what this machine may lack for an attempt, and what to raise.
var shortages = []struct {
	code  syscall.Errno
	words string
}{
	{syscall.EMFILE, "this process has no free file: raise its limit of open files (ulimit -n, LimitNOFILE=)"},
	{syscall.ENFILE, "this machine has no free file: raise fs.file-max"},
	{syscall.EADDRNOTAVAIL, "this machine has no free port for another connection there: widen net.ipv4.ip_local_port_range"},
	{syscall.EADDRINUSE, "this machine has no free port for another connection there: widen net.ipv4.ip_local_port_range"},
	{syscall.ENOBUFS, "this machine has no buffer for a connection: raise net.ipv4.tcp_mem, or the memory"},
	{syscall.ENOMEM, "this machine has no memory for a connection"},
}

// shortage is what this machine lacked for an attempt of which nothing was
// written, in words, or empty. It says nothing about the receiver.
func (f failure) shortage() string {
	if f.trail.wrote() || f.cause != nil {
		return ""
	}
	var lookup *net.DNSError
	if errors.As(f.err, &lookup) {
		return lookupShortage(lookup.Err)
	}
	for _, s := range shortages {
		if errors.Is(f.err, s.code) && (s.code != syscall.EADDRNOTAVAIL || hasSource(f.err)) {
			return s.words
		}
	}
	return ""
}

// lookupShortage finds a shortage within a look-up: net.DNSError keeps only the
// text. Without a free file, /etc/hosts and /etc/resolv.conf are not read either,
// and there is "no such host"; hence the attempt to open one.
func lookupShortage(text string) string {
	for _, s := range shortages {
		if strings.HasSuffix(text, s.code.Error()) {
			return s.words
		}
	}
	file, err := os.Open(os.DevNull)
	if err == nil {
		_ = file.Close()
		return ""
	}
	for _, s := range shortages {
		if errors.Is(err, s.code) {
			return s.words
		}
	}
	return ""
}

// hasSource tells a machine without a free port from one without any address for
// the destination, which is not passing: UDP has ports of its own, and sends
// nothing here.
func hasSource(err error) bool {
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Addr == nil {
		return true
	}
	c, err := net.Dial("udp", dial.Addr.String()) //nolint:noctx // of UDP, which waits for nothing
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
