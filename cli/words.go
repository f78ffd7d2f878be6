package cli

import "regexp"

// inCommands is a text of webhook.explain, webhook.hint or webhook.channel_problem for a terminal: what it says to run
// in SQL is said as the command that does the same. A statement that has none stays.
func inCommands(text string) string {
	for _, s := range statements {
		text = s.sql.ReplaceAllString(text, s.command)
	}
	return text
}

var statements = []struct {
	sql     *regexp.Regexp
	command string
}{
	{regexp.MustCompile(`select webhook\.retry\((\d+)\)`), "webhooks resend $1"},
	{regexp.MustCompile(`select webhook\.explain\((\d+)\)`), "webhooks show $1"},
	{regexp.MustCompile(`update webhook\.channels set enabled = true where name = '(\w+)'`), "webhooks set $1 --enabled"},
	{regexp.MustCompile(`update webhook\.channels set enabled = false where name = '(\w+)'`), "webhooks set $1 --enabled=false"},
	{regexp.MustCompile(`update webhook\.settings set offline_mode = false`), "webhooks offline off"},
	{regexp.MustCompile(`update webhook\.settings set auth = 'bearer', bearer_token = '\.\.\.'`), "webhooks set --auth bearer --token -"},
	{regexp.MustCompile(`update webhook\.settings set auth = 'none'`), "webhooks set --auth none"},
	{regexp.MustCompile(`update webhook\.settings set bearer_token = '\.\.\.'`), "webhooks set --token -"},
	{regexp.MustCompile(`update webhook\.settings set document_base_url = '([^']*)'`), "webhooks set --document-base-url $1"},
	{regexp.MustCompile(`update webhook\.channels set url = '([^']*)' where name = '(\w+)'`), "webhooks set $2 --url $1"},
	{regexp.MustCompile(`select webhook\.mark_delivered\((\w+), note\)`), "webhooks mark-delivered $1 NOTE"},
}
