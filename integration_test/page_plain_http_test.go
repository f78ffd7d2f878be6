package integration_test

import (
	"net"
	"testing"
)

// otherAddress is one of this machine that is no loopback address: to a browser no "secure context", so that it
// sends no Sec-Fetch-Site.
func otherAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback ones")
	return ""
}

// Over plain HTTP a form's origin alone says that it is ours, and with no-referrer a browser calls it "null".
func TestPageInBrowser_LogsInAndOutOverPlainHTTP(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	p := startPage(t, settings{"DATABASE_URL": db.address, "WEBHOOK_ADMIN_PASSWORD_HASH": hashOf(t, "correct horse")}, "admin", "--listen", otherAddress(t)+":0")
	tab := newTab(t, p.line)
	tab.open("/overview")
	tab.fill("Your name", "Ada")
	tab.fill("Password", "wrong horse")
	tab.press("Log in")
	tab.sees("The password is wrong.")
	tab.fill("Password", "correct horse")
	tab.press("Log in")
	if path := tab.path(); path != "/overview" {
		t.Errorf("it leads to %s: %s", path, tab.text())
	}
	tab.press("Log out")
	if h1 := tab.h1(); h1 != "Log in" {
		t.Errorf("it leads to %s: %s", h1, tab.text())
	}
}
