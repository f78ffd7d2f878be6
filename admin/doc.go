// Package admin is the page: Settings → Integrations → Webhooks, and the deliveries behind it.
// Plain HTML, a form for each action; script only adds. What a request passes, in this order (around and
// routes in admin.go):
//
//	paths.go     underBase: the base path
//	headers.go   headers: those of each answer, the Content-Security-Policy among them
//	failure.go   recovered: a panic is a page
//	paths.go     plainPaths: a path with detours has no page
//	health.go    healthChecks: /livez and /readyz, without Host and login
//	hosts.go     answeringHost: which Host is answered
//	headers.go   sameOrigin: an action that another site sends is refused (CSRF)
//	access.go    letIn: all on a loopback address, a password (login.go), or a proxy's header
//	form.go      withForm: the form is whole
//	access.go    readOnly: a read-only page refuses each action
//	paths.go     withMethods: the page of the path, or 405
//	failure.go   handler: the time of a request; an error becomes a page
//
// Behind the login: sessions.go, password.go, login_limit.go (how many wrong passwords) and browsers.go (whose).
// An answer is made by view.go: templates, the frame around each page, static files. What is said in words is in
// words.go and the files that end in _words.go; page_words.go says the database's texts with the page's controls.
//
// The pages:
//
//	settings.go    the channels and Webhook Auth: settings_form.go reads and checks what was typed, settings_repair.go
//	               repairs it, settings_save.go decides what is changed and what is in conflict, settings_view.go
//	               shows it; tools.go are the receiving tools that are recognised (tools_recognise.go)
//	general.go     Offline Mode and its end, the document base URL
//	secrets.go     the signing secrets; secret_handover.go shows a new one once
//	overview.go    state.go is the state of a channel, for the settings as well; attention.go what needs attention,
//	               chart.go the last 24 hours, overview_figures.go what the script refreshes
//	deliveries.go  the list; delivery_filter.go reads its filter
//	delivery.go    one event: delivery_payload.go, delivery_timeline.go, delivery_actions.go
//	openapi.go     docs/openapi.yaml, for the developer of a receiver
//	resend.go      many events; operation.go does that, and the end of Offline Mode, batch by batch
//
// The page reads and writes through Store (store.go, and the part of each page in its file; settings_store.go),
// which package store implements. Where each promise is kept:
//
//   - The token is never sent back: Settings has only whether there is one, and a sum that stays in the process.
//   - A save on top of another's change, no half save: saving.decide (settings_save.go) runs in the transaction of
//     Store.ChangeSettings, which has locked all settings.
//   - Bounded reads: Store counts to mostCounted, a list has pageLength rows and a place instead of an offset.
//   - A resend never sends twice: its form says when its events were counted, and what finished later is not
//     sent (Resend.endAt; webhook.operations.before).
//   - Who did what: userOf (access.go) goes into each method of Store that changes something, and from there into
//     webhook.actor, the default of the columns actor.
//
// It reaches no receiver: a test event goes the worker's own way.
package admin
