package admin

import (
	"regexp"
	"strings"
)

// pageWords is a text of webhook.channel_problem, webhook.hint or webhook.explain as the page says it:
// without the statements that an operator would run, since the page has a control for each, and with the
// names of its controls.
func pageWords(text string) string {
	for _, each := range statements {
		text = each.found.ReplaceAllString(text, each.instead)
	}
	return controls.Replace(text)
}

// set is an update to its end, which is that of the sentence; a text in quotes may hold a full stop.
const set = `update webhook\.\w+ set (?:[^'.]|'[^']*')*`

// statements are how the texts of schema.sql show what to run.
var statements = []struct {
	found   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(or mark the event): select .*$`), "$1 as delivered."},
	{regexp.MustCompile(`To send it again: select webhook\.retry\(\d+\)`), "To send it again, press Resend"},
	{regexp.MustCompile(`, or in its row \(update webhook\.[^()]*\)`), ""},
	{regexp.MustCompile(`, then: select webhook\.retry\(\d+\)`), ", then resend it"},
	{regexp.MustCompile(`To have it sent: ` + set), "To have it sent, enable the channel"},
	{regexp.MustCompile(`\s*\((?:update|select) webhook\.(?:[^()]|\([^()]*\))*\)`), ""},
	{regexp.MustCompile(`, or, to send none: ` + set), ""},
	{regexp.MustCompile(`: ` + set), ""},
}

var controls = strings.NewReplacer(
	"auth is bearer and there is no token", "Bearer Token is selected, and there is no token",
	"document_base_url: empty, and doc_url begins with it: set document_base_url in webhook.settings to the address of RecordEngine",
	"there is no Document base URL, with which each document's link begins; set it in General",
	"webhook.settings has no document_base_url, which doc_url needs", "there is no Document base URL, with which each document's link begins",
	"document_base_url", "the Document base URL",
	"and doc_url begins with it", "and each document's link begins with it",
	"every doc_url", "every document's link",
	"max_per_second", "\"Max per second\"",
	"accept_status", "\"Accepted statuses\"",
	"Its answer, in response, may", "Its answer may",
)
