package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// adminCommand is `webhooks admin`: the page, and `webhooks admin hash-password`.
var adminCommand = command{
	name: "admin", group: groupRun,
	about: "serve the page: settings, deliveries, overview",
	text:  "It prints the page's address, and serves it until SIGTERM or Ctrl-C. On an address that other machines reach, people must log in.",
	exits: "1 when it cannot be served",
	examples: []string{
		"on this machine: webhooks admin",
		"behind a password, for others: WEBHOOK_ADMIN_PASSWORD_HASH_FILE=/etc/webhooks/page.hash webhooks admin --listen :8098",
	},
	words: []command{hashPasswordCommand},
	flags: func(f *flags) action {
		cfg, database := f.admin("listen"), f.database()
		level := f.choice("log-level", "WEBHOOK_LOG_LEVEL", "info", "what is logged", "debug", "info", "warn", "error")
		format := f.logFormat()
		alerts := f.pageAlerts()
		return func(_, stop context.Context, _ []string) error {
			return runAdmin(stop, f, cfg, alerts, *database, func() *zap.Logger { return newLogger(f.p.Stderr, *level, *format) })
		}
	},
}

func runAdmin(stop context.Context, f *flags, cfg *adminConfig, alerts *workerConfig, database string, newLog func() *zap.Logger) error {
	if err := cfg.read(f); err != nil {
		return err
	}
	keepWithoutReader()
	log := newLog()
	defer log.Sync() //nolint:errcheck // never fails
	if unknown := f.unknownSettings(); len(unknown) > 0 {
		log.Warn("unknown settings in the environment", zap.Strings("names", unknown))
	}
	source := f.adminDatabase("")
	if database != "" {
		source = f.databaseOf(database)
	}
	page, err := f.openPage(stop, cfg, source, log)
	switch {
	case err != nil && stop.Err() != nil:
		return nil // stopped before anything was served
	case err != nil:
		return err
	}
	defer page.close()
	defer alerts.besidePage(stop, page.db, log)()
	return page.serve(stop)
}

// adminDatabase is that of the page: of a role of its own where one is set, else the one of the other commands.
func (f *flags) adminDatabase(flagValue string) dsnSource {
	own := dsnSource{name: "WEBHOOK_ADMIN_DATABASE_URL", value: f.env("WEBHOOK_ADMIN_DATABASE_URL"), file: f.env("WEBHOOK_ADMIN_DATABASE_URL_FILE")}
	if own.value == "" && own.file == "" || f.instance != "" {
		return f.databaseOf(flagValue)
	}
	return own
}

// pageLease is the lease from which the limits of the page's sessions follow: a statement ends after six
// seconds, by itself and before the request, whose end would cost the other requests their connections.
const pageLease = 36 * time.Second

// openPage waits for the database, checks the role, listens, and says where on standard output.
func (f *flags) openPage(stop context.Context, cfg *adminConfig, database dsnSource, log *zap.Logger) (*page, error) {
	db, err := f.openSource(pageLease, database)
	if err != nil {
		return nil, err
	}
	var role store.Privileges
	err = waitForDatabase(stop, log, func() (err error) {
		if err := store.CheckSchema(stop, db, f.p.Schema); err != nil {
			return withAdminRole(stop, db, err)
		}
		role, err = store.ReadPrivileges(stop, db)
		return err
	})
	if err == nil {
		err = canServe(role)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	l, err := cfg.open()
	if err != nil {
		db.Close()
		return nil, err
	}
	fmt.Fprintln(f.p.Stdout, addressOf(l))
	return &page{listener: l, db: db, log: log, handler: admin.New(store.NewAdmin(db, f.p.Schema).UseKeys(cfg.keys), log, cfg.options(l))}, nil
}

func (c *adminConfig) open() (net.Listener, error) {
	l, err := net.Listen("tcp", *c.listen)
	if err != nil {
		return nil, fmt.Errorf("WEBHOOK_ADMIN_LISTEN: %w; another process may use that address, port 0 picks a free one", err)
	}
	host, _, _ := net.SplitHostPort(l.Addr().String())
	if err := c.checkReach(host); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// addressOf is where a browser on this machine finds the page. The base path is left out: the page answers
// without it as well, and a script reads the port from this line.
func addressOf(l net.Listener) string {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if address, err := netip.ParseAddr(host); err == nil && address.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// canServe checks that the role may do what the page does. Waiting would not help.
func canServe(p store.Privileges) error {
	switch {
	case p.Absent != "":
		return absent(p)
	case !p.Admin || !p.Reads || !p.SeesURLs:
		return fmt.Errorf("the role %s cannot serve the page; %s", p.Role, grantAdmin(p.Role))
	}
	return nil
}

// withAdminRole adds the role and the remedy to "permission denied".
func withAdminRole(ctx context.Context, db *sqlx.DB, err error) error {
	p, unread := store.ReadPrivileges(ctx, db)
	if unread != nil || !store.Denied(err) {
		return err
	}
	return fmt.Errorf("the role %s cannot serve the page: %w; %s", p.Role, err, grantAdmin(p.Role))
}

func grantAdmin(role string) string {
	return fmt.Sprintf("run: grant webhook_reader, webhook_admin to %s (webhooks migrate --roles makes these roles)", store.QuoteIdentifier(role))
}

// localUser is who acts on the page where there is no login: the account that runs it.
func localUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "local user"
}
