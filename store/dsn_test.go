package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
)

// where is what a configuration says about where it leads, and as whom.
func where(cfg pq.Config) string {
	text := fmt.Sprintf("%s:%s@%s:%d", cfg.User, cfg.Password, cfg.Host, cfg.Port)
	for _, m := range cfg.Multi {
		text += fmt.Sprintf(",%s:%d", m.Host, m.Port)
	}
	text += "/" + cfg.Database
	if cfg.SSLMode != "" {
		text += " " + string(cfg.SSLMode)
	}
	for name, value := range cfg.Runtime {
		text += " " + name + "=" + value
	}
	return text
}

func TestDSN_Accepted(t *testing.T) {
	for _, tt := range []struct{ name, dsn, want string }{
		{"a URL", "postgres://u:p@h:5433/d?sslmode=disable", "u:p@h:5433/d disable"},
		{"the other scheme, no port", "postgresql://u:p@h/d", "u:p@h:5432/d"},
		{"in double quotes, with a newline behind", "\"postgres://u:p@h/d\"\n", "u:p@h:5432/d"},
		{"behind a byte order mark", "\ufeffpostgres://u:p@h/d", "u:p@h:5432/d"},
		{"in single quotes", "'postgres://u:p@h/d'", "u:p@h:5432/d"},
		{"a password with # and other characters that libpq takes", "postgres://u:p#&=;+!$*(x@h/d", "u:p#&=;+!$*(x@h:5432/d"},
		{"a password with @ and ?", "postgres://u:a?b@c@h/d", "u:a?b@c@h:5432/d"},
		{"a user with @ as a parameter", "postgres://h/d?user=me@server&password=p@x", "me@server:p@x@h:5432/d"},
		{"a parameter with @ and no database", "postgres://u:p@h?application_name=a@b", "u:p@h:5432/"},
		{"a percent-encoded password", "postgres://u:%40%2F%3F%3A%23%25%27%5C%20@h/d", `u:@/?:#%'\ @h:5432/d`},
		{"a password with a colon", "postgres://u:a:b@h/d", "u:a:b@h:5432/d"},
		{"an empty password", "postgres://u:@h/d", "u:@h:5432/d"},
		{"several hosts with ports", "postgres://u:p@h1:5433,h2:5434,h3/d", "u:p@h1:5433,h2:5434,h3:5432/d"},
		{"several hosts, one port for all", "postgres://u:p@h1,h2/d?port=6432", "u:p@h1:6432,h2:6432/d"},
		{"an IPv6 address", "postgres://u:p@[::1]:5433/d", "u:p@::1:5433/d"},
		{"a socket's folder, encoded", "postgres://u:p@%2Frun%2Fpostgresql/d", "u:p@/run/postgresql:5432/d disable"},
		{"a socket's folder as a parameter", "postgres://u:p@/d?host=/run/postgresql", "u:p@/run/postgresql:5432/d disable"},
		{"everything as parameters", "postgres:///d?host=h&user=u&password=p%26x", "u:p&x@h:5432/d"},
		{"key=value pairs", `host=h port=5433 user=u password='a b\'c' dbname=d sslmode=require`, "u:a b'c@h:5433/d require"},
		{"key=value pairs with a URL as password", `host=h user=u password='http://x' dbname=d`, "u:http://x@h:5432/d"},
		{"what psql knows and need not be honoured", "postgres://u:p@h/d?channel_binding=prefer&gssencmode=disable&keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=1000&connect_timeout=10", "u:p@h:5432/d"},
		{"a setting of the session", "postgres://u:p@h/d?work_mem=64MB", "u:p@h:5432/d work_mem=64MB"},
		{"a setting with spaces", "postgres://u:p@h/d?datestyle=ISO,+MDY&role=a+b", "u:p@h:5432/d role=a b"},
	} {
		cfg, err := parse(tt.dsn)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := where(cfg); got != tt.want {
			t.Errorf("%s: %s, expected %s", tt.name, got, tt.want)
		}
	}
}

// Each error names what is wrong and a remedy, and shows no part of a password.
func TestDSN_Refused(t *testing.T) {
	for _, tt := range []struct{ name, dsn, says string }{
		{"nothing", "  ", "empty"},
		{"JDBC", "jdbc:postgresql://h/d?user=u&password=5ecret", "postgres://user:password@host"},
		{"SQLAlchemy", "postgresql+psycopg2://u:5ecret@h/d", "begins with postgres://"},
		{"a line break", "postgres://u:5ecret\n@h/d", "line break"},
		{"another database", "mysql://u:5ecret@h/d", "begins with postgres://"},
		{"a password with a slash", "postgres://u:5ecret/x@h/d", "percent-encoded"},
		{"a password with a percent sign", "postgres://u:5ecret%x@h/d", "percent-encoded"},
		{"a port that is no number", "postgres://u:p@h:5ecret/d", "percent-encoded"},
		{"a port that is too large", "postgres://u:5ecret@h:70000/d", "parameter port"},
		{"no pairs", "5ecret", "neither a URL"},
		{"an unknown sslmode", "postgres://u:5ecret@h/d?sslmode=on", `"sslmode"`},
		{"another number of ports", "host=h1,h2,h3 port=1,2 password=5ecret", "neither a URL"},
		{"channel_binding=require", "postgres://u:5ecret@h/d?channel_binding=require", "channel_binding"},
		{"gssencmode=require", "postgres://u:5ecret@h/d?gssencmode=require", "gssencmode"},
		{"require_auth", "host=h password=5ecret require_auth=scram-sha-256", "require_auth"},
		{"Prisma's schema", "postgres://u:5ecret@h/d?schema=public", "schema"},
		{"Prisma's pooler", "postgres://u:5ecret@h/d?pgbouncer=true", "pgbouncer"},
		{"Prisma's pool", "postgres://u:5ecret@h/d?connection_limit=5", "connection_limit"},
		{"JDBC's schema", "postgres://u:5ecret@h/d?currentSchema=public", "currentSchema"},
		{"ssl=true", "postgres://u:5ecret@h/d?ssl=true", "sslmode"},
		{"the line of an environment file", "DATABASE_URL=postgres://u:5ecret@h/d", "name of a variable"},
		{"the same in quotes", `export DATABASE_URL="postgresql://u:5ecret@h/d"`, "name of a variable"},
		{"an encoding", "postgres://u:5ecret@h/d?client_encoding=LATIN1", "client_encoding"},
		{"a service that is not there", "service=none password=5ecret", "service file"},
		{"a standby", "postgres://u:5ecret@h1,h2/d?target_session_attrs=standby", "target_session_attrs"},
	} {
		_, err := parse(tt.dsn)
		switch {
		case err == nil:
			t.Errorf("%s: accepted", tt.name)
		case !strings.Contains(err.Error(), tt.says):
			t.Errorf("%s: %q does not say %q", tt.name, err, tt.says)
		case strings.Contains(err.Error(), "5ecret"):
			t.Errorf("%s: %q shows the password", tt.name, err)
		}
	}
}

// Of several servers the worker needs the one that accepts writes.
// TestDSN_NamesTheVariableThatIsReadBesideIt: what the environment adds is not blamed on the DSN.
func TestDSN_NamesTheVariableThatIsReadBesideIt(t *testing.T) {
	for name, value := range map[string]string{"PGPORT": "5ecret", "PGSSLMODE": "5ecret", "PGCONNECT_TIMEOUT": "", "PGTARGETSESSIONATTRS": "", "PGCHANNELBINDING": "require"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := parse("postgres://u:5ecret@h/d")
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "5ecret") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDSN_SeveralHostsAreSearchedForThePrimary(t *testing.T) {
	for dsn, want := range map[string]pq.TargetSessionAttrs{
		"postgres://h1:5432,h2:5433/d":                              pq.TargetSessionAttrsReadWrite,
		"postgres://h1,h2/d?target_session_attrs=any":               pq.TargetSessionAttrsReadWrite,
		"postgres://h1,h2/d?target_session_attrs=primary":           pq.TargetSessionAttrsPrimary,
		"postgres://h1/d":                                           "",
		"host=h1,h2 port=5432,5433 target_session_attrs=read-write": pq.TargetSessionAttrsReadWrite,
	} {
		cfg, err := parse(dsn)
		if err != nil || cfg.TargetSessionAttrs != want {
			t.Errorf("%s: %q, %v", dsn, cfg.TargetSessionAttrs, err)
		}
	}
}

// The limits follow from the lease: none is longer than a quarter of it.
func TestLimits_FollowFromTheLease(t *testing.T) {
	for _, lease := range []int{2, 5, 8, 21, 90, 3600} {
		l, most := limitsOf(seconds(lease)), seconds(lease)/4
		if l.network > most || l.network > seconds(20) || l.statement >= l.network || l.lock >= l.statement || l.lock <= 0 {
			t.Errorf("lease %d s: %+v", lease, l)
		}
	}
	if l := limitsOf(DefaultLease); l.network != seconds(20) || l.statement != seconds(15) {
		t.Errorf("the default: %+v", l)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
