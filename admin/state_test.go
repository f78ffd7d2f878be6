package admin

import (
	"testing"
	"time"
)

func TestChannelState_EachInWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 22, 14, 30, 0, 0, time.Local)
	at := func(hours float64) *time.Time {
		t := now.Add(time.Duration(hours * float64(time.Hour)))
		return &t
	}
	for name, c := range map[string]struct {
		health
		want    state
		because string
	}{
		"off":                        {health{}, state{"Off", "off"}, ""},
		"off in Offline Mode":        {health{Offline: true}, state{"Off", "off"}, ""},
		"off and failing":            {health{FailingSince: at(-1), EverUsed: true}, state{"Off", "off"}, ""},
		"off without a URL":          {health{Problem: "it has no URL"}, state{"Off", "off"}, ""},
		"on in Offline Mode":         {health{Enabled: true, Offline: true, Problem: "it has no URL", FailingSince: at(-1)}, state{"Held", "held"}, "Offline Mode is on"},
		"on without a URL":           {health{Enabled: true, Problem: "it has no URL: update webhook.channels set url = 'https://...' where name = 'rules'"}, state{"Held", "held"}, "it has no URL"},
		"paused":                     {health{Enabled: true, EverUsed: true, PausedUntil: at(0.05)}, state{"Held", "held"}, "paused until 14:33"},
		"failing, and misconfigured": {health{Enabled: true, FailingSince: at(-1), Problem: "it has no URL", EverUsed: true}, state{"Held", "held"}, "it has no URL"},
		"failing":                    {health{Enabled: true, FailingSince: at(-0.5), EverUsed: true}, state{"Failing since 14:00", "bad"}, ""},
		"failing, and paused":        {health{Enabled: true, FailingSince: at(-0.5), PausedUntil: at(1), EverUsed: true}, state{"Failing since 14:00", "bad"}, ""},
		"failing since yesterday":    {health{Enabled: true, FailingSince: at(-24), EverUsed: true}, state{"Failing since 21 Mar 14:30", "bad"}, ""},
		"failing since last year":    {health{Enabled: true, FailingSince: at(-365 * 24), EverUsed: true}, state{"Failing since 22 Mar 2025 14:30", "bad"}, ""},
		"the pause is over":          {health{Enabled: true, EverUsed: true, PausedUntil: at(0)}, state{"Healthy", "ok"}, ""},
		"never used":                 {health{Enabled: true}, state{"Never used", "off"}, ""},
		"healthy":                    {health{Enabled: true, EverUsed: true, LastSuccess: at(-2)}, state{"Healthy", "ok"}, ""},
		"a success, not yet noted":   {health{Enabled: true, LastSuccess: at(0)}, state{"Healthy", "ok"}, ""},
	} {
		if got := channelState(c.health, now); got != c.want {
			t.Errorf("%s: %v, %v was expected", name, got, c.want)
		}
		if got := heldBecause(c.health, now); got != c.because {
			t.Errorf("%s: held because %q, %q was expected", name, got, c.because)
		}
	}
}

func TestPageWords_NameTheControlAndNoStatement(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"it has no URL: update webhook.channels set url = 'https://...' where name = 'rules'":                                                                              "it has no URL",
		"auth is bearer and there is no token: update webhook.settings set bearer_token = '...', or, to send none: update webhook.settings set auth = 'none'":              "Bearer Token is selected, and there is no token",
		"webhook.settings has no document_base_url, which doc_url needs: update webhook.settings set document_base_url = 'https://...'":                                    "there is no Document base URL, with which each document's link begins",
		"document_base_url contains a space (U+0020), and doc_url begins with it: update webhook.settings set document_base_url = 'https://...'":                           "the Document base URL contains a space (U+0020), and each document's link begins with it",
		"The endpoint requires authentication: add a bearer token in the settings (update webhook.settings set auth = 'bearer', bearer_token = '...').":                    "The endpoint requires authentication: add a bearer token in the settings.",
		"let 409 count (update webhook.channels set accept_status = accept_status || 409 where name = '...'), or mark the event: select webhook.mark_delivered(id, note).": "let 409 count, or mark the event as delivered.",
		"The path of the URL is wrong: regenerate the webhook URL in the receiving tool.":                                                                                  "The path of the URL is wrong: regenerate the webhook URL in the receiving tool.",
		"Its answer, in response, may say why.": "Its answer may say why.",
	} {
		if got := pageWords(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}
