package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/atrest"
)

// adminConfig are the settings of the page.
type adminConfig struct {
	listen     *string
	hash       func() (string, error) // nil: no password
	userHeader string
	proxies    []netip.Prefix
	hosts      []string
	basePath   string
	readOnly   bool
	keys       *atrest.Keys // nil: none
}

// adminListen is the default of WEBHOOK_ADMIN_LISTEN.
const adminListen = "127.0.0.1:8098"

// admin has the flag of the page: --listen, or --admin-listen where there are others.
func (f *flags) admin(listenFlag string) *adminConfig {
	return &adminConfig{listen: f.String(listenFlag, cmp.Or(f.env("WEBHOOK_ADMIN_LISTEN"), adminListen),
		"the `address` where the page is served; port 0 picks a free one (WEBHOOK_ADMIN_LISTEN)")}
}

// read reads the rest from the environment. A worker without the page does not: what is wrong there does
// not concern it.
func (c *adminConfig) read(f *flags) error {
	f.errs = nil
	c.keys = f.secretKeys()
	f.fromEnv("WEBHOOK_ADMIN_PASSWORD_HASH", func(hash string) error {
		c.hash = func() (string, error) { return hash, nil }
		return admin.CheckPasswordHash(hash)
	})
	f.fromEnv("WEBHOOK_ADMIN_PASSWORD_HASH_FILE", func(path string) error {
		c.hash = fileOf("WEBHOOK_ADMIN_PASSWORD_HASH_FILE", path)
		hash, err := fileOf("the file", path)()
		if err != nil {
			return err
		}
		return admin.CheckPasswordHash(hash)
	})
	f.fromEnv("WEBHOOK_ADMIN_TRUST_USER_HEADER", c.setUserHeader)
	f.fromEnv("WEBHOOK_ADMIN_TRUSTED_PROXIES", c.setProxies)
	f.fromEnv("WEBHOOK_ADMIN_HOSTS", c.setHosts)
	f.fromEnv("WEBHOOK_ADMIN_BASE_PATH", c.setBasePath)
	f.fromEnv("WEBHOOK_ADMIN_READ_ONLY", func(text string) (err error) {
		if c.readOnly, err = strconv.ParseBool(text); err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		return nil
	})
	if err := errors.Join(f.errs...); err != nil {
		return usageError{err.Error()}
	}
	return c.check(f)
}

// check refuses what does not go together, above all an address that others reach where no one would have
// to log in.
func (c *adminConfig) check(f *flags) error {
	host, _, err := net.SplitHostPort(*c.listen)
	switch {
	case err != nil:
		return usagef("WEBHOOK_ADMIN_LISTEN: %q is no address with a port, such as 127.0.0.1:8098", *c.listen)
	case f.env("WEBHOOK_ADMIN_PASSWORD_HASH") != "" && f.env("WEBHOOK_ADMIN_PASSWORD_HASH_FILE") != "":
		return usagef("WEBHOOK_ADMIN_PASSWORD_HASH and WEBHOOK_ADMIN_PASSWORD_HASH_FILE are both set: remove one of them")
	case (c.userHeader != "") != (len(c.proxies) > 0):
		return usagef("WEBHOOK_ADMIN_TRUST_USER_HEADER and WEBHOOK_ADMIN_TRUSTED_PROXIES belong together: the header counts from those peers only")
	case c.userHeader != "" && c.hash != nil:
		return usagef("WEBHOOK_ADMIN_PASSWORD_HASH and WEBHOOK_ADMIN_TRUST_USER_HEADER are two ways to log in: set one of them")
	}
	return c.checkReach(host)
}

// checkReach is called with the host of the setting, and with the address that was opened: "localhost" may
// be another one.
func (c *adminConfig) checkReach(host string) error {
	if loopback(host) || c.hash != nil || c.userHeader != "" {
		return nil
	}
	return usagef("WEBHOOK_ADMIN_LISTEN: %s is reached from other machines, so people must log in: set WEBHOOK_ADMIN_PASSWORD_HASH "+
		"(made by webhooks admin hash-password), or WEBHOOK_ADMIN_TRUST_USER_HEADER with WEBHOOK_ADMIN_TRUSTED_PROXIES, or listen on 127.0.0.1", *c.listen)
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

// secretHeaders carry secrets, or what no proxy names a user with.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Host"}

func (c *adminConfig) setUserHeader(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9-]+$`).MatchString(name) || slices.Contains(secretHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
		return fmt.Errorf("%q is no header in which a proxy names a user, such as X-Forwarded-User", name)
	}
	c.userHeader = name
	return nil
}

func (c *adminConfig) setProxies(text string) error {
	for part := range words(text) {
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			address, unparsed := netip.ParseAddr(part)
			if unparsed != nil {
				return fmt.Errorf("%q is no network, such as 10.0.0.0/8, and no address", part)
			}
			address = address.Unmap().WithZone("")
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if prefix.Bits() == 0 {
			return fmt.Errorf("%q is every address: everybody could name themselves; name the proxies", part)
		}
		c.proxies = append(c.proxies, prefix.Masked())
	}
	return nil
}

// setHosts reads names and addresses, a port is dropped: the page answers on whichever it is reached.
func (c *adminConfig) setHosts(text string) error {
	for part := range words(text) {
		host := part
		if name, port, err := net.SplitHostPort(part); err == nil && strings.Trim(port, "0123456789") == "" {
			host = name
		}
		host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
		if _, err := netip.ParseAddr(host); err != nil && !regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`).MatchString(host) {
			return fmt.Errorf("%q is no host name, such as webhooks.example.com (an international one is written as xn--…, and there are no wildcards)", part)
		}
		c.hosts = append(c.hosts, host)
	}
	return nil
}

func (c *adminConfig) setBasePath(text string) error {
	base := strings.TrimRight(text, "/")
	if !regexp.MustCompile(`^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`).MatchString(base) { // "/.." is none
		return fmt.Errorf("%q is no path, such as /webhooks", text)
	}
	c.basePath = base
	return nil
}

func (c *adminConfig) options(l net.Listener) admin.Options {
	host, _, _ := net.SplitHostPort(l.Addr().String())
	return admin.Options{
		Loopback: loopback(host), Hosts: c.hosts, BasePath: c.basePath, ReadOnly: c.readOnly, Version: Version(),
		PasswordHash: c.hash, UserHeader: c.userHeader, TrustedProxies: c.proxies, User: localUser(),
	}
}

// words are the parts of a list, with commas or spaces between them.
func words(text string) func(yield func(string) bool) {
	return strings.FieldsFuncSeq(text, func(c rune) bool { return c == ',' || c == ' ' })
}
