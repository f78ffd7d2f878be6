package admin

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestToolOf(t *testing.T) {
	t.Parallel()
	const none = ""
	for url, want := range map[string]string{
		"https://hook.eu1.make.com/abc123":                                  "Make.com",
		"https://hook.us2.make.com/abc123?x=1":                              "Make.com",
		"https://hook.eu1.make.celonis.com/abc123":                          "Make.com",
		"https://hook.integromat.com/abc123":                                "Make.com",
		"https://hooks.zapier.com/hooks/catch/1234567/abc123/":              "Zapier",
		"https://hooks.zapier.com/hooks/catch/1234567/abc123/silent/":       "Zapier",
		"https://acme.app.n8n.cloud/webhook/0f1e":                           "n8n",
		"https://acme.app.n8n.cloud/webhook-test/0f1e":                      "n8n, test URL",
		"https://automation.acme.example/webhook/0f1e":                      "n8n, guess",
		"http://10.0.0.7:5678/webhook-test/0f1e":                            "n8n, test URL, guess",
		"https://acme.example/n8n/webhook/0f1e/orders":                      "n8n, guess",
		"https://hooks.slack.com/services/T00/B00/XXX":                      "Slack incoming webhook",
		"https://hooks.slack.com/triggers/T00/31415/c6e6":                   "Slack workflow",
		"https://hooks.slack.com/workflows/T00/A00/1/x":                     "Slack workflow",
		"https://discord.com/api/webhooks/1234/abc":                         "Discord",
		"https://canary.discord.com/api/v10/webhooks/1234/abc/slack":        "Discord",
		"https://discordapp.com/api/webhooks/1234/abc":                      "Discord",
		"https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w": "Microsoft Teams connector",
		"https://open.feishu.cn/open-apis/bot/v2/hook/xxx":                  "Feishu or Lark bot",
		"https://open.larksuite.com/open-apis/bot/v2/hook/xxx":              "Feishu or Lark bot",
		"https://acme.feishu.cn/base/automation/webhook/event/xxx":          "Feishu or Lark Base",
		"https://acme.jp.larksuite.com/base/automation/webhook/event/xxx":   "Feishu or Lark Base",
		"https://acme.sg.larkoffice.com/base/automation/webhook/event/xxx":  "Feishu or Lark Base",
		"https://prod-33.westeurope.logic.azure.com:443/workflows/x?sig=s":  "Power Automate",
		"https://prod-05.chinaeast2.logic.azure.cn/workflows/x?sig=s":       "Power Automate",
		"https://default1.a7.environment.api.powerplatform.com:443/p?sig=s": "Power Automate",
		"https://script.google.com/macros/s/AKfy/exec":                      "Google Apps Script",
		"https://script.google.com/a/macros/acme.example/s/AKfy/exec":       "Google Apps Script",

		// How a URL may be written.
		"HTTPS://Hook.EU1.Make.COM/abc":                            "Make.com",
		"https://hook.eu1.make.com./abc":                           "Make.com",
		"https://hook.eu1.make.com:8443/abc":                       "Make.com",
		"https://user:secret@hooks.slack.com/services":             none, // a host's front page is no webhook
		"https://user:secret@hooks.slack.com/services/T00/B00/XXX": "Slack incoming webhook",
		"https://hooks.slack.com//services//T00":                   "Slack incoming webhook",

		// What only resembles one.
		"https://evilmake.com/abc":                                 none,
		"https://hook.evilmake.com/abc":                            none,
		"https://www.make.com/en/help":                             none,
		"https://eu1.make.com/123/scenarios/456/edit":              none, // the editor
		"https://hook.make.com.evil.example/abc":                   none,
		"https://hooks.slack.com.evil.example/services/T00":        none,
		"https://hooks.slack.com@evil.example/services/T00":        none,
		"https://evil.example/hooks.slack.com/services/T00":        none,
		"https://evil.example#@hooks.slack.com/services/T00":       none,
		"https://evil.example?https://hooks.slack.com/services/T0": none,
		"https://hooks.slack.com\\@evil.example/services/T00":      none,
		"https://app.slack.com/services/T00":                       none,
		"https://discord.com/channels/1/2":                         none,
		"https://discord.com/api/webhooks":                         none,
		"https://evildiscord.com/api/webhooks/1/2":                 none,
		"https://webhook.office.com.evil.example/webhookb2/x":      none,
		"https://zapier.com/hooks/catch/1/2":                       none,
		"https://hooks-zapier.com/hooks/catch/1/2":                 none,
		"https://open.feishu.cn/document/client-docs":              none,
		"https://open.feishu.cn.evil.example/open-apis/bot/v2":     none,
		"https://notlogic.azure.com/workflows/x":                   none,
		"https://docs.google.com/macros/s/AKfy/exec":               none,
		"https://script.google.com.evil.example/macros/s/A/exec":   none,
		"https://hooks.zapier.com/app/login":                       none,
		"https://open.feishu.cn/open-apis/im/v1/messages":          none,
		"https://acme.feishu.cn/base/bascn123":                     none,
		"https://script.google.com/home":                           none,
		"https://logic.azure.com/workflows/x":                      none,
		"https://acme.example/webhook":                             none,
		"https://acme.example/api/webhook/orders":                  none,
		"https://acme.example/webhooks/orders":                     none,
		"https://n8n.cloud.evil.example/workflow/1":                none,

		// Look-alikes in another script, and their punycode: Cyrillic а, a full stop of full width, the Kelvin sign.
		"https://hook.eu1.m\u0430ke.com/abc":           none,
		"https://hook.eu1.xn--mke-8cd.com/abc":         none,
		"https://hooks.slack\uff0ecom/services/T00":    none,
		"https://hooks.slac\u212a.com/services/T00/B0": none,

		// What is no URL of a webhook.
		"":                                  none,
		"hooks.slack.com/services/T00":      none,
		"//hooks.slack.com/services/T00":    none,
		"ftp://hooks.slack.com/services/T0": none,
		"https://":                          none,
		"https:///services/T00":             none,
		"https://[::1/webhook/x":            none,
		"https://hooks.slack.com:port/x":    none,
		"https://hooks.slack%2Ecom/x":       none,
		"https://hook.eu1.make.com/%zz":     none,
		"https://hook.eu1.make.com/a\nb":    none,
		"https://hook.eu1.make.com/\x00":    none,
	} {
		got, ok := toolOf(url)
		name := got.Name
		if got.TestURL {
			name += ", test URL"
		}
		if got.Guess {
			name += ", guess"
		}
		if name != want || ok != (want != none) {
			t.Errorf("toolOf(%q) = %q, %v; want %q", url, name, ok, want)
		}
	}
}

// A path, a query and a userinfo may be a key: nothing of them is in what the page shows.
func TestToolOf_ReturnsNoPartOfTheURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://hook.eu1.make.com/s3cr3t",
		"https://s3cr3t:s3cr3t@hooks.slack.com/services/s3cr3t",
		"https://s3cr3t.example/webhook/s3cr3t?s3cr3t#s3cr3t",
		"https://s3cr3t.logic.azure.com/s3cr3t?sig=s3cr3t",
	} {
		found, ok := toolOf(url)
		if !ok || strings.Contains(fmt.Sprintf("%+v", found), "s3cr3t") {
			t.Errorf("toolOf(%q) = %+v, %v", url, found, ok)
		}
	}
}

// allTools are the known ones, each kind once.
func allTools() []tool {
	all := make([]tool, 0, len(knownTools))
	for _, k := range knownTools {
		all = append(all, k.tool)
	}
	return all
}

func TestTools_HintsAreShortAndPlain(t *testing.T) {
	t.Parallel()
	sentence := regexp.MustCompile(`[.!?](\s|$)`)
	for _, each := range allTools() {
		if n := len(sentence.FindAllString(each.Hint, -1)); n < 1 || n > 3 || !strings.HasSuffix(each.Hint, ".") {
			t.Errorf("%s: the hint has %d sentences: %s", each.Name, n, each.Hint)
		}
		if strings.Contains(each.Hint, "  ") || len(each.Hint) > 450 {
			t.Errorf("%s: the hint has %d bytes: %s", each.Name, len(each.Hint), each.Hint)
		}
		if !strings.HasPrefix(each.Docs, "https://") {
			t.Errorf("%s: no page of the vendor", each.Name)
		}
	}
}

// The table of docs/receive.md says of each tool what the page says: name, source, limits, statuses.
func TestTools_ReceivePageHasTheSameFacts(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\(([^)]+)\) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$`).FindAllStringSubmatch(readText(t, "../docs/receive.md"), -1)
	documented := map[string][]string{}
	for _, row := range rows {
		documented[row[1]] = row[2:]
	}
	for _, each := range allTools() {
		if each.TestURL {
			continue // the same tool as its production URL
		}
		want := toolCells(each)
		if got := documented[each.Name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("docs/receive.md has of %s: %q, want %q", each.Name, got, want)
		}
		delete(documented, each.Name)
	}
	for name := range documented {
		t.Errorf("docs/receive.md has %s, the page does not recognise it", name)
	}
}

// toolCells are the cells of a tool's row. A dash stands where nothing is to be set.
func toolCells(each tool) []string {
	const nothing = "–"
	cells := []string{each.Docs, nothing, nothing, nothing, nothing}
	if len(each.AcceptedStatuses) > 0 {
		cells[1] = "add " + strings.Trim(fmt.Sprint(each.AcceptedStatuses), "[]")
	}
	if each.MaxPerSecond > 0 {
		cells[2] = strconv.Itoa(each.MaxPerSecond)
	}
	if each.MaxInFlight > 0 {
		cells[3] = strconv.Itoa(each.MaxInFlight)
	}
	if each.RefusesToken {
		cells[4] = "refused"
	}
	return cells
}
