package admin

// tool is a receiving tool that was recognised by its webhook URL, and what an administrator needs to know
// about it. The facts are the vendor's, each with its source below; docs/receive.md has them too, in
// "Receiving tools". A limit that the vendor does not document is 0.
type tool struct {
	Name             string
	Hint             string // one to three sentences: what it answers with, what must be on
	AcceptedStatuses []int  // to be added to the channel's accepted statuses
	MaxPerSecond     int    // requests a second; 1 also where the vendor allows fewer, in a minute
	MaxInFlight      int    // requests at once
	RefusesToken     bool   // it answers a request that carries a bearer token with an error
	TestURL          bool   // the URL works only during a test in the tool's editor
	Guess            bool   // recognised by its path alone, which another program may have, too
	Docs             string // the vendor's page
}

// https://help.make.com/webhooks: the answers 200, 400 and 429, "up to 300 incoming webhook requests per
// 10 second interval", 410 after five days without a scenario, immediate processing as the default, and
// that a scenario which is set to Immediately stops at an error.
var makeCom = tool{
	Name: "Make.com",
	Hint: "Make answers 200 as soon as the event is in the webhook's queue, and 400 if the queue is full." +
		" The scenario must be on: set to run Immediately, it stops at its first error." +
		" A webhook without a scenario is deactivated after five days and answers 410.",
	MaxPerSecond: 30,
	Docs:         "https://help.make.com/webhooks",
}

// https://help.zapier.com/hc/en-us/articles/8496288690317-Trigger-Zaps-from-webhooks: always a success,
// Catch Hook and Catch Raw Hook. https://docs.zapier.com/platform/build/operating-constraints: 30 webhooks
// a second, 10,000 in five minutes; above that 429.
var zapier = tool{
	Name: "Zapier",
	Hint: "Zapier answers 200 even if the Zap is paused or was deleted, so Delivered does not say that the Zap ran: see its history." +
		" Choose the trigger Catch Hook, which reads the fields; Catch Raw Hook passes the body on unread.",
	MaxPerSecond: 30,
	Docs:         "https://help.zapier.com/hc/en-us/articles/8496288690317-Trigger-Zaps-from-webhooks",
}

// https://docs.n8n.io/build/understand-workflows/save-and-publish-workflows: a production URL works once
// the workflow is published ("activated" in versions before). The page in Docs: one method for each
// Webhook node, respond Immediately. 404: https://github.com/n8n-io/n8n/issues/26195.
var n8n = tool{
	Name: "n8n",
	Hint: "The workflow must be published (active, in older versions): until then n8n answers 404." +
		" Set the Webhook node's HTTP Method to POST, and Respond to Immediately: otherwise the answer waits for the workflow, and after 30 seconds the event counts as not delivered.",
	Docs: "https://docs.n8n.io/integrations/builtin/core-nodes/n8n-nodes-base.webhook/",
}

// The page in Docs: 120 seconds. "Only works for one call": n8n's own answer to a call outside of them,
// https://github.com/n8n-io/n8n/blob/master/packages/cli/src/errors/response-errors/webhook-not-found.error.ts.
var n8nTest = tool{
	Name: "n8n",
	Hint: "This is the test URL: it accepts one event, within 120 seconds after Listen for test event was pressed, and answers 404 at all other times." +
		" Use the Production URL of the same Webhook node.",
	TestURL: true,
	Docs:    "https://docs.n8n.io/integrations/builtin/core-nodes/n8n-nodes-base.webhook/workflow-development/",
}

// The page in Docs: a message is {"text": …}. 400 and invalid_payload:
// https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks; no_text for JSON
// without it: https://github.com/fluxcd/flagger/pull/1031. One a second:
// https://docs.slack.dev/apis/web-api/rate-limits.
var slackMessages = tool{
	Name: "Slack incoming webhook",
	Hint: `An incoming webhook accepts Slack's own messages only ({"text": "…"}) and answers 400 to every event of RecordEngine.` +
		" Put a tool such as Make.com in between, which writes the message.",
	MaxPerSecond: 1,
	Docs:         "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
}

// The page in Docs: the variables must be flat texts; a paid plan. Ten a minute:
// https://docs.slack.dev/apis/web-api/rate-limits, "Workflow triggers: webhook triggers".
var slackWorkflow = tool{
	Name: "Slack workflow",
	Hint: "A workflow that starts from a webhook takes variables that are texts on the top level, while events have numbers and nested fields, and at most 10 requests a minute." +
		" Put a tool such as Make.com in between.",
	MaxPerSecond: 1,
	Docs:         "https://docs.slack.dev/tools/slack-github-action/sending-techniques/sending-data-webhook-slack-workflow",
}

// The page in Docs: one of content, embeds, components, file and poll, and a text of at most 2000 characters.
// 400 and its text: https://github.com/discord/discord-api-docs/issues/5424.
var discord = tool{
	Name: "Discord",
	Hint: `A webhook of Discord accepts Discord's own messages only ({"content": "…"}) and answers 400, "Cannot send an empty message", to every event of RecordEngine.` +
		" Put a tool such as Make.com in between, which writes the message.",
	Docs: "https://docs.discord.com/developers/resources/webhook#execute-webhook",
}

// The page in Docs: cards only, four requests a second, and that these connectors are being retired.
var teamsConnector = tool{
	Name: "Microsoft Teams connector",
	Hint: "A Teams connector accepts cards only, and Microsoft is retiring connectors." +
		" Use Power Automate, with the trigger When an HTTP request is received and the action Post message in a chat or channel.",
	MaxPerSecond: 4,
	Docs:         "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
}

// The page in Docs: msg_type, the code in the answer's body, 100 requests a minute and 5 a second. That such
// an answer has HTTP status 200: https://github.com/oryx-labs/oryxos/issues/316,
// https://github.com/Runfusion/Fusion/pull/3634.
var feishuBot = tool{
	Name: "Feishu or Lark bot",
	Hint: "A group bot accepts its own messages only (msg_type), and reports an error in the body of an HTTP 200: every event would count as delivered, and none would appear." +
		" Use a Base automation with the trigger When webhook received, or put a tool such as Make.com in between.",
	MaxPerSecond: 1,
	Docs:         "https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
}

// The page in Docs, also as https://larksuite.com/hc/en-US/articles/956909912947: the bearer token, the code
// in the body, 4 MB, five requests a second for one automation, one without a bearer token.
var feishuBase = tool{
	Name: "Feishu or Lark Base",
	Hint: "The automation must be on: Base reports an error as a code in the body of its answer, which does not count, so Delivered does not say that the automation ran." +
		" It accepts one request a second, and five if it checks a bearer token.",
	MaxPerSecond: 1,
	Docs:         "https://www.feishu.cn/hc/zh-CN/articles/383585269199",
}

// https://learn.microsoft.com/azure/connectors/connectors-native-reqres: 202 unless there is a Response
// action. The page in Docs: who can trigger the flow, and the default.
// https://learn.microsoft.com/azure/logic-apps/logic-apps-securing-a-logic-app: a signature in the URL and a
// bearer token in one request are an error.
var powerAutomate = tool{
	Name: "Power Automate",
	Hint: "A flow without a Response action answers 202: add 202 to the accepted statuses." +
		" Set Who can trigger the flow to Anyone: its default demands a token of Microsoft Entra." +
		" The URL then contains its own key (sig), and a request with a bearer token beside it is refused: set Webhook Auth to None.",
	AcceptedStatuses: []int{202},
	RefusesToken:     true,
	Docs:             "https://learn.microsoft.com/power-automate/oauth-authentication",
}

// The page in Docs: what the Content service returns is a redirect to a one-time URL. Access:
// https://developers.google.com/apps-script/manifest/web-app-api-executable. Thirty executions at once:
// https://developers.google.com/apps-script/guides/services/quotas. Google does not document that the HTML
// service answers without a redirect; users report it, hence the test event.
var appsScript = tool{
	Name: "Google Apps Script",
	Hint: "Deploy the web app with access for Anyone." +
		" If doPost returns a ContentService output, Google answers with a redirect although the script has run: the event counts as not delivered, and a document is sent again every ten seconds." +
		` Return HtmlService.createHtmlOutput("ok") and send a test event: if its answer is not 200, put Make.com in between.`,
	MaxInFlight: 30,
	Docs:        "https://developers.google.com/apps-script/guides/content#redirects",
}
