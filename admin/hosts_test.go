package admin

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestHosts_LoopbackAnswersToItsOwnNamesOnly(t *testing.T) {
	s, _ := newTestSite(onLoopback())
	h := s.around(http.HandlerFunc(showsUser))
	for host, answered := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8098": true, "127.9.9.9:1": true, "localhost": true, "LOCALHOST:8098": true, "localhost.:8098": true,
		"[::1]": true, "[::1]:8098": true, "[::ffff:127.0.0.1]:80": true,
		// What a page of the web can make a browser send: a name of its own that resolves to 127.0.0.1.
		"evil.example": false, "evil.example:8098": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "evillocalhost": false,
		"0.0.0.0:8098": false, "192.168.1.2": false, "[fe80::1]": false, "": false, ":8098": false, "127.0.0.1@evil.example": false, "evil.example#127.0.0.1": false,
	} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			res := answer(h, request(method, "/", nil, func(r *http.Request) { r.Host = host }))
			if answered != (res.StatusCode == 200) {
				t.Errorf("%s with Host %q: status %d", method, host, res.StatusCode)
			}
			if !answered {
				isPage(t, host, res, http.StatusMisdirectedRequest, "WEBHOOK_ADMIN_HOSTS")
			}
		}
	}
}

func TestHosts_ThoseOfTheSetting(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		host    string
		want    int
	}{
		{"named", Options{Hosts: []string{"webhooks.example.com"}}, "webhooks.example.com", 200},
		{"with a port, in capitals", Options{Hosts: []string{"webhooks.example.com"}}, "Webhooks.Example.COM:8443", 200},
		{"another one", Options{Hosts: []string{"webhooks.example.com"}}, "example.com", 421},
		{"one below", Options{Hosts: []string{"example.com"}}, "webhooks.example.com", 421},
		{"an address of IPv6", Options{Hosts: []string{"2001:db8::1"}}, "[2001:db8::1]:80", 200},
		{"a loopback name, where it listens elsewhere", Options{Hosts: []string{"webhooks.example.com"}}, "127.0.0.1", 421},
		{"a loopback name beside the setting", Options{Loopback: true, Hosts: []string{"webhooks.example.com"}}, "127.0.0.1", 200},
		{"the setting on a loopback address", Options{Loopback: true, Hosts: []string{"webhooks.example.com"}}, "webhooks.example.com", 200},
		{"another one on a loopback address", Options{Loopback: true, Hosts: []string{"webhooks.example.com"}}, "evil.example", 421},
		{"none is set", Options{}, "anything.example", 200},
	} {
		s, _ := newTestSite(c.options)
		if res := answer(s.around(http.HandlerFunc(showsUser)), request("GET", "/", nil, func(r *http.Request) { r.Host = c.host })); res.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, res.StatusCode, c.want)
		}
	}
}

// Whatever a Host says: on a loopback address only what leads to this machine is answered.
func FuzzHosts_Loopback(f *testing.F) {
	for _, host := range []string{"127.0.0.1:8098", "localhost", "[::1]", "[::1", "evil.example", "127.0.0.1.evil.example", ":", "[]", "a:b:c", "localhost..", "[::ffff:127.0.0.1%25x]"} {
		f.Add(host)
	}
	s, _ := newTestSite(onLoopback())
	f.Fuzz(func(t *testing.T, hostport string) {
		if !s.answers(hostport) {
			return
		}
		name := strings.ToLower(strings.TrimSuffix(hostOf(hostport), "."))
		address, err := netip.ParseAddr(name)
		if name != "localhost" && (err != nil || !address.Unmap().IsLoopback()) || !strings.Contains(strings.ToLower(hostport), name) {
			t.Errorf("%q is answered", hostport)
		}
	})
}
