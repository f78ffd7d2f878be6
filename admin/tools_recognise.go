package admin

import (
	"net/url"
	"slices"
	"strings"
)

// toolOf recognises the receiving tool that a webhook URL belongs to. What it returns contains no part of
// the URL, whose path may be a key. The URL is taken as it is saved: a host name in another script has been
// converted to punycode before, or is not recognised.
func toolOf(rawURL string) (tool, bool) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return tool{}, false
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if !isASCII(host) { // in Unicode, the Kelvin sign is an upper-case k
		return tool{}, false
	}
	host = strings.ToLower(host)
	path := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	for _, k := range knownTools {
		if k.has(host, path) {
			return k.tool, true
		}
	}
	return n8nByPath(path)
}

// knownTools are the vendors' own addresses. Where one host has several kinds of webhooks, the path tells.
var knownTools = []struct {
	tool
	has func(host string, path []string) bool
}{
	{makeCom, func(host string, _ []string) bool {
		return strings.HasPrefix(host, "hook.") && belowDomain(host, "make.com", "make.celonis.com", "integromat.com")
	}},
	{zapier, func(host string, path []string) bool { return host == "hooks.zapier.com" && pathBegins(path, "hooks") }},
	{n8nTest, func(host string, path []string) bool {
		return belowDomain(host, "n8n.cloud") && pathBegins(path, "webhook-test")
	}},
	{n8n, func(host string, path []string) bool {
		return belowDomain(host, "n8n.cloud") && pathBegins(path, "webhook")
	}},
	{slackMessages, func(host string, path []string) bool {
		return host == "hooks.slack.com" && pathBegins(path, "services")
	}},
	{slackWorkflow, func(host string, path []string) bool {
		return host == "hooks.slack.com" && (pathBegins(path, "triggers") || pathBegins(path, "workflows"))
	}},
	{discord, func(host string, path []string) bool {
		return isDiscord(host) && pathBegins(path, "api") && slices.Contains(path[:len(path)-1], "webhooks")
	}},
	{teamsConnector, func(host string, path []string) bool {
		return belowDomain(host, "webhook.office.com") && strings.HasPrefix(strings.Join(path, "/"), "webhook")
	}},
	{feishuBot, func(host string, path []string) bool { return isFeishu(host) && pathBegins(path, "open-apis", "bot") }},
	{feishuBase, func(host string, path []string) bool {
		return isFeishu(host) && pathBegins(path, "base", "automation", "webhook")
	}},
	{powerAutomate, func(host string, _ []string) bool { return belowDomain(host, powerAutomateDomains...) }},
	{appsScript, func(host string, path []string) bool {
		return host == "script.google.com" && slices.Contains(path, "macros")
	}},
}

// powerAutomateDomains: https://learn.microsoft.com/power-automate/ip-address-configuration, "Allow users on
// your network to use 'When an HTTP request is received' trigger".
var powerAutomateDomains = []string{
	"logic.azure.com", "api.powerplatform.com",
	"logic.azure.us", "api.gov.powerplatform.microsoft.us", "api.high.powerplatform.microsoft.us", "api.appsplatform.us",
	"logic.azure.cn", "api.powerplatform.partner.microsoftonline.cn",
}

// isDiscord: also the hosts of its test clients (canary., ptb.), and discordapp.com, which it answers on, too.
func isDiscord(host string) bool {
	return slices.Contains([]string{"discord.com", "discordapp.com"}, host) || belowDomain(host, "discord.com", "discordapp.com")
}

func isFeishu(host string) bool {
	return belowDomain(host, "feishu.cn", "larksuite.com", "larkoffice.com")
}

// n8nByPath recognises n8n on a host of the user's own: /webhook/… or /webhook-test/…, also below /n8n, where
// a proxy may have put it.
func n8nByPath(path []string) (tool, bool) {
	at := slices.IndexFunc(path, func(segment string) bool { return segment == "webhook" || segment == "webhook-test" })
	if at < 0 || at == len(path)-1 || at > 0 && path[at-1] != "n8n" {
		return tool{}, false
	}
	found := n8n
	if path[at] == "webhook-test" {
		found = n8nTest
	}
	found.Guess = true
	return found, true
}

// belowDomain reports whether a host lies below one of the domains, by whole labels: evilmake.com is not make.com's.
func belowDomain(host string, domains ...string) bool {
	return slices.ContainsFunc(domains, func(domain string) bool { return strings.HasSuffix(host, "."+domain) })
}

// pathBegins reports whether a path begins with these segments, and goes on.
func pathBegins(path []string, segments ...string) bool {
	return len(path) > len(segments) && slices.Equal(path[:len(segments)], segments)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}
