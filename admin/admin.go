package admin

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"

	"go.uber.org/zap"
)

// Options are the settings of the page.
type Options struct {
	Loopback bool     // it listens on a loopback address
	Hosts    []string // the host names that it answers to; none: on a loopback address the loopback names, else all
	BasePath string   // "" or "/webhooks": where a proxy has put it
	ReadOnly bool     // shows, changes nothing
	Version  string   // of the binary

	// Who is let in. With neither of the two: everybody, as User, which is right on a loopback address only.
	PasswordHash   func() (string, error) // argon2id, a PHC string; read for each login. Nil: none
	UserHeader     string                 // in which a proxy names the user; "": none
	TrustedProxies []netip.Prefix         // the peers of which UserHeader counts
	User           string                 // who acts where there is no login
}

// site is the page: its settings, and what it keeps between two requests.
type site struct {
	Options
	store    Store
	log      *zap.Logger
	sessions *sessions
	logins   *loginLimit
	made     *handover
	begun    chan struct{} // an operation was begun
	ready    readiness
	formKey  []byte // see authVersion
}

// Page is the page, as an http.Handler, and what it does without being asked.
type Page struct {
	http.Handler
	site *site
}

// Run does the operations that a person has begun, until ctx ends. Without it they wait; a page that is read-only
// leaves them to another one.
func (p *Page) Run(ctx context.Context) { p.site.runOperations(ctx) }

// New is the page over a store. The log has what an administrator does not see: the error behind a page
// that says that something failed. It never has a token, a password or the path of a URL.
func New(store Store, log *zap.Logger, options Options) *Page {
	s := newSite(store, log, options)
	return &Page{Handler: s.around(s.routes()), site: s}
}

func newSite(store Store, log *zap.Logger, options Options) *site {
	return &site{Options: options, store: store, log: log, sessions: newSessions(), logins: newLoginLimit(),
		made: newHandover(), begun: make(chan struct{}, 1), formKey: []byte(rand.Text())}
}

// around is what a request passes on its way to the pages, from the inside out: the last of these first.
func (s *site) around(pages http.Handler) http.Handler {
	h := s.readOnly(pages)
	h = s.withForm(h)
	h = s.letIn(h)
	h = s.sameOrigin(h)
	h = s.answeringHost(h)
	h = s.healthChecks(h)
	h = s.plainPaths(h)
	h = s.recovered(h)
	h = s.headers(h)
	if s.BasePath != "" {
		h = s.underBase(h)
	}
	return h
}

// routes are the pages. An action is a POST, answered with 303. Each path is written out: a test reads them here, and
// does all that can be done.
func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, s.handler(h))
	}

	handle("GET /{$}", s.toSettings)
	handle("GET /static/{version}/{name}", s.static)
	handle("GET /login", s.loginPage)
	handle("POST /login", s.logIn)
	handle("GET /logout", s.logoutPage)
	handle("POST /logout", s.logOut)
	handle("GET /deliveries", s.deliveriesPage)
	handle("GET /deliveries/new", s.newDeliveries)
	handle("GET /deliveries/resend", s.askResendMany)
	handle("POST /deliveries/resend", s.startResend)
	handle("GET /deliveries/resend/count", s.countResends)
	handle("GET /deliveries/{id}", s.deliveryPage)
	handle("GET /deliveries/{id}/payload", s.deliveryPayload)
	handle("GET /deliveries/{id}/resend", s.askResend)
	handle("POST /deliveries/{id}/resend", s.resend)
	handle("GET /deliveries/{id}/delivered", s.askDelivered)
	handle("POST /deliveries/{id}/delivered", s.markDelivered)
	handle("POST /deliveries/{id}/cancel", s.cancelDelivery)
	handle("GET /settings/integrations/webhooks", s.settingsPage)
	handle("POST /settings/integrations/webhooks", s.saveSettings)
	handle("POST /settings/integrations/webhooks/test", s.sendTest)
	handle("GET /settings/integrations/webhooks/secrets", s.secretsPage)
	handle("POST /settings/integrations/webhooks/secrets", s.makeSecret)
	handle("GET /settings/integrations/webhooks/secrets/{id}/retire", s.askRetire)
	handle("POST /settings/integrations/webhooks/secrets/{id}/retire", s.retireSecret)
	handle("GET /settings/general", s.generalPage)
	handle("POST /settings/general", s.saveGeneral)
	handle("GET /operations/{id}", s.operationPage)
	handle("POST /operations/{id}/stop", s.stopOperation)
	handle("GET /openapi.yaml", s.openAPI)
	handle("GET /overview", s.overview)
	handle("GET /overview/figures", s.overviewFigures)
	handle("/", s.noSuchPage)
	return withMethods(mux, s)
}

func (s *site) toSettings(w http.ResponseWriter, r *http.Request) error {
	s.redirect(w, r, settingsPath)
	return nil
}

// redirect sends the browser to a page of this site, after an action or from the root: a path of ours, or what
// localPath allows.
func (s *site) redirect(w http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(w, r, s.BasePath+path, http.StatusSeeOther)
}
