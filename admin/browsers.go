package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// knownCookie marks a browser from which a login has succeeded. It opens nothing. Its wrong passwords are
// counted apart, so that a flood of others' does not lock out those who use the page
// (https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies).
const (
	knownCookie = "webhooks_known"
	knownLife   = 365 * 24 * time.Hour
)

// guesser is what a wrong password counts against.
type guesser struct {
	name  string
	known bool // a browser from which a login has succeeded
}

// guesserOf is the browser, if its mark is one of ours, else the address.
func guesserOf(r *http.Request, hash string) guesser {
	for _, cookie := range r.CookiesNamed(knownCookie) {
		if id, ok := knownID(cookie.Value, hash); ok {
			return guesser{name: id, known: true}
		}
	}
	return guesser{name: addressOf(r)}
}

// mark is the value of the cookie of a browser. It ends with the password, and outlives a restart.
func (g guesser) mark(hash string) string {
	id := g.name
	if !g.known {
		id = rand.Text()
	}
	return id + "." + knownSum(id, hash)
}

func knownID(value, hash string) (id string, ok bool) {
	id, sum, _ := strings.Cut(value, ".")
	return id, hmac.Equal([]byte(sum), []byte(knownSum(id, hash)))
}

func knownSum(id, hash string) string {
	sum := hmac.New(sha256.New, []byte(hash))
	sum.Write([]byte("known browser " + id))
	return hex.EncodeToString(sum.Sum(nil))
}

// addressOf is the peer, and its client where the peer is a proxy, which names it last. A peer that invents
// clients reaches the limit for all addresses together.
func addressOf(r *http.Request) string {
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	client := strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
	return network(peerOf(r)) + " " + network(client)
}

func peerOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// network is an address, or the /64 of one of IPv6: who has one has all of them. Else it is "".
func network(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, _ := address.Prefix(64) // an address of IPv6 has one
	return prefix.String()
}
