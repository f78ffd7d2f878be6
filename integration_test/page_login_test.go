package integration_test

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// loginPage is a page with a password.
func loginPage(t *testing.T) string {
	t.Helper()
	db := ready(t, "https://hooks.example.com")
	db.exec(`select webhook.create_roles()`)
	return servePage(t, db, settings{"WEBHOOK_ADMIN_PASSWORD_HASH": passwordHash(t)})
}

// TestPageLogin_LeadsToWhereAPersonWanted: with script and without.
func TestPageLogin_LeadsToWhereAPersonWanted(t *testing.T) {
	t.Parallel()
	site := loginPage(t)
	for _, script := range []bool{true, false} {
		p := newTab(t, site)
		if !script {
			p = p.another()
			p.withoutScript()
		}
		p.open(settingsPath + "?from=a-bookmark")
		if p.h1() != "Log in" || p.status() != 200 {
			p.fatalf("without a login: %d %s", p.status(), p.h1())
		}
		if script {
			p.follows()
		}
		p.fill("Your name", "Jane")
		p.fill("Password", "wrong horse battery")
		p.press("Log in")
		if got := p.wrong("Password"); p.status() != 422 || got != "The password is wrong." {
			p.errorf("a wrong password: %d, %q", p.status(), got)
		}
		if name, password := p.value("Your name"), p.value("Password"); name != "Jane" || password != "" {
			p.errorf("the form has %q, %q", name, password)
		}
		if script {
			p.follows()
		}
		p.logIn("Jane")
		if p.path() != settingsPath+"?from=a-bookmark" {
			p.errorf("the login leads to %s", p.path())
		}
		p.sees("Jane")
		p.press("Log out")
		p.open("/overview")
		if p.h1() != "Log in" {
			p.errorf("after the logout: %s", p.h1())
		}
	}
}

func TestPageLogin_ByKeyboardAlone(t *testing.T) {
	t.Parallel()
	p := newTab(t, loginPage(t))
	p.open("/overview")
	p.tabTo("textbox Your name")
	p.key("Jane")
	p.tabTo("textbox Password")
	p.key(pagePassword)
	p.loading("press Enter", func(context.Context) error { p.key(kb.Enter); return nil })
	if p.path() != "/overview" {
		p.errorf("Enter leads to %s", p.path())
	}
	p.sees("Jane")
}

// TestPageLogin_TwoPersonsHaveTwoSessions: what one does with a session does not end another's.
func TestPageLogin_TwoPersonsHaveTwoSessions(t *testing.T) {
	t.Parallel()
	jane := newTab(t, loginPage(t))
	maria := jane.another()
	for name, p := range map[string]*tab{"Jane": jane, "Maria": maria} {
		p.open("/overview")
		p.logIn(name)
		p.sees(name)
	}
	jane.press("Log out")
	maria.open("/overview")
	maria.sees("Maria")
	maria.lacks("Jane")
}
