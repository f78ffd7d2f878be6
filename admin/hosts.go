package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// answeringHost refuses a request for another host. On a loopback address this keeps a page of the web
// whose name was made to resolve to 127.0.0.1 (DNS rebinding) from reading this one.
func (s *site) answeringHost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.answers(r.Host) {
			s.fail(w, r, failure{Status: http.StatusMisdirectedRequest, Title: "This page does not answer to that host name",
				Means: "The address in the browser is not among the host names of this page.",
				Do:    "Use its own address, or add the host name to WEBHOOK_ADMIN_HOSTS and restart it."})
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *site) answers(hostport string) bool {
	host := hostOf(hostport)
	switch {
	case slices.ContainsFunc(s.Hosts, func(known string) bool { return strings.EqualFold(known, host) }):
		return true
	case s.Loopback:
		return isLoopback(host)
	}
	return len(s.Hosts) == 0
}

// hostOf is the name or address of a Host header, without its port and brackets.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.TrimSuffix(host, ".")
}

// isLoopback reports whether a name or address leads to this machine itself.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
