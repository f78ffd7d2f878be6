package integration_test

import (
	"net/url"
	"testing"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/sender"
)

// hosts, users, ports and tails make up the URLs that SQL and Go must agree on.
var (
	schemes = []string{"http://", "https://", "HTTPS://"}
	users   = []string{"", "user@", "user:pass@", "us%65r:p%40ss@", "a@b@", "@", ":@", "a:b:c@", "user:p$!&'()*+,;=@", "ü@", "u%zz@", "u/x@", "u[@", `u"@`}
	hosts   = []string{"example.com", "EXAMPLE.com", "localhost", "127.0.0.1", "a_b.example", "-a-.example", "example.com.", "[::1]", "[2001:db8::1]",
		"", "[::1", "::1", "[]", "[:::::]", "[1.2.3.4]", "[fe80::1%25eth0]", "[::1]x", "a b", "a!b", "%41b", "b%41", "a\\b", "exämple.com", "例え.jp", "a<b", `a"b`, "a,b", "a;b", "..", "a:b", "a:b:c", "%", "%zz"}
	ports = []string{"", ":80", ":8443", ":65535", ":", ":0", ":00080", ":000", ":65536", ":99999", ":999999", ":80x", ":-1", ":８０"}
	tails = []string{"", "/", "/hook", "/hook?key=1&b=%zz", "?x", "#f", "/a%20b", "/ä", "/a//b", "/%", "/%4", "/%zz", "/a?%zz#ok", "/a#%zz", "/a#b?%zz", "?a#b?%zz", "/a?b?%z#%41",
		"/a b", " ", "\t", "\n", "\u00a0", "\u3000", "\u2003", "\u0085", "\u200b", "/x\u007f", "/[x]", "/{x}", "/a^b|c", "/a\\b", "/\u2028"}
)

func TestURLProblem_WhatItAcceptsTheSenderCanCall(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	urls := []string{"", " ", "http", "http:", "http:/", "http:/a", "http//a", "://a", "ftp://a", "javascript:1", "mailto:a@b", "//a", "/a", " http://a", "http://a\nb"}
	for _, scheme := range schemes {
		for _, user := range users {
			for _, host := range hosts {
				for _, port := range ports {
					urls = append(urls, scheme+user+host+port, scheme+user+host+port+"/x")
				}
			}
		}
		for _, user := range users[:4] {
			for _, tail := range tails {
				urls = append(urls, scheme+user+"example.com"+tail, scheme+user+"example.com:8443"+tail)
			}
		}
	}
	rows := []struct {
		URL     string
		Problem *string
	}{}
	if err := db.Select(&rows, `select url, webhook.url_problem(url) as problem from unnest($1::text[]) url`, pq.Array(urls)); err != nil {
		t.Fatal(err)
	}
	fine, refused := 0, 0
	wrong := map[string][]string{} // what the sender says → URLs
	for _, r := range rows {
		err := sender.Check(r.URL, "")
		switch {
		case r.Problem == nil && err == nil:
			fine++
		case r.Problem == nil:
			wrong[err.Error()] = append(wrong[err.Error()], r.URL)
		default:
			refused++
		}
	}
	for why, all := range wrong {
		t.Errorf("SQL finds no problem in %d URLs, the sender says %q: %.500q", len(all), why, all)
	}
	t.Logf("of %d URLs, %d are fine for both, SQL refuses %d", len(rows), fine, refused)
}

func TestURLProblem_AcceptsOrdinaryURLs(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for _, u := range []string{
		"https://hook.eu1.make.com/abcdefghijklmnopqrstuvwxyz012345", "http://localhost:8080/webhooks", "http://127.0.0.1:9000",
		"https://user:pass@example.com/x?y=z#f", "http://[::1]:8080/", "https://[2001:db8::1]/a", "https://a-b_c.example.co.uk:443/p/a/t/h?x=%20&y=a+b",
		"HTTPS://EXAMPLE.COM/", "https://example.com?token=a/b@c", "https://example.com/ä/发票", "https://xn--nxasmq6b/", "https://open.feishu.cn/anycross/trigger/callback/MDA0==",
		"https://example.com./", "https://example.com/a(b)c;d=1,2", "https://example.com/?q=%E4%B8%8A",
	} {
		if _, err := url.Parse(u); err != nil {
			t.Fatal(err)
		}
		var problem *string
		if err := db.Get(&problem, `select webhook.url_problem($1)`, u); err != nil {
			t.Fatal(err)
		}
		if problem != nil || sender.Check(u, "") != nil {
			t.Errorf("%s: SQL says %q, the sender %v", u, value(problem), sender.Check(u, ""))
		}
	}
}
