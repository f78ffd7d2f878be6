package admin

import "testing"

func TestPageWords_HoldNoStatement(t *testing.T) {
	for text, want := range map[string]string{
		"document_base_url: empty, and doc_url begins with it: set document_base_url in webhook.settings to the address of RecordEngine":                                                                                 "there is no Document base URL, with which each document's link begins; set it in General",
		"Event 12 was delivered: the receiver answered with HTTP 200. To send it again: select webhook.retry(12).":                                                                                                       "Event 12 was delivered: the receiver answered with HTTP 200. To send it again, press Resend.",
		"It cannot be sent again: event 7 is a later export of the same document (select webhook.explain(7)).":                                                                                                           "It cannot be sent again: event 7 is a later export of the same document.",
		"To send it again, turn the channel on (update webhook.channels set enabled = true where name = 'cases'), then: select webhook.retry(3).":                                                                        "To send it again, turn the channel on, then resend it.",
		"Event 4 is pending, but the channel cases is off: it becomes skipped within ten seconds. To have it sent: update webhook.channels set enabled = true where name = 'cases'. Its newest attempt ended with: x.":   "Event 4 is pending, but the channel cases is off: it becomes skipped within ten seconds. To have it sent, enable the channel. Its newest attempt ended with: x.",
		"Event 5 waits because the channel cases cannot be called: it has no URL: update webhook.channels set url = 'https://...' where name = 'cases'. Its attempts so far: 2.":                                         "Event 5 waits because the channel cases cannot be called: it has no URL. Its attempts so far: 2.",
		"Event 6 waits because the channel cases cannot be called: auth is bearer and there is no token: update webhook.settings set bearer_token = '...', or, to send none: update webhook.settings set auth = 'none'.": "Event 6 waits because the channel cases cannot be called: Bearer Token is selected, and there is no token.",
		"Event 8 waits because Offline Mode is on: nothing is delivered until it is turned off (update webhook.settings set offline_mode = false).":                                                                      "Event 8 waits because Offline Mode is on: nothing is delivered until it is turned off.",
		"in the application for future events, and for a pending document by exporting it again, or in its row (update webhook.outbox set data = '...' where id = N).":                                                   "in the application for future events, and for a pending document by exporting it again.",
	} {
		if got := pageWords(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
