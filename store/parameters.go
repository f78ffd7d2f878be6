package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// ignored are parameters of libpq that this program need not have, by the values for which that is
// true; none: any.
var ignored = map[string][]string{
	"channel_binding": {"prefer", "disable"},
	"gssencmode":      {"prefer", "disable"},
	"sslcertmode":     {"allow", "disable"},
	"sslcompression":  {"0"},
	"gssdelegation":   {"0"},
	"keepalives":      nil, "keepalives_idle": nil, "keepalives_interval": nil, "keepalives_count": nil, "tcp_user_timeout": nil, // a statement has deadlines of its own
}

// refused are parameters that would be ignored to the harm of what they protect, and the remedy.
var refused = map[string]string{
	"channel_binding": "remove it; sslmode=verify-full protects against the same attack",
	"gssencmode":      "remove it; sslmode encrypts the connection",
	"gssdelegation":   "remove it",
	"sslcertmode":     "remove it; sslcert and sslkey name a client certificate",
	"sslcompression":  "remove it",
	"sslcrl":          "remove it",
	"sslcrldir":       "remove it",
	"sslpassword":     "remove it; the key file must not be encrypted",
	"requirepeer":     "remove it",
	"requiressl":      "write sslmode=require instead",
	"require_auth":    "remove it; sslmode=verify-full makes sure who the server is",
	"replication":     "remove it",
}

// foreign are parameters of other programs, and the remedy.
var foreign = map[string]string{
	"schema":           "remove it; the worker's tables are in the schema webhook",               // Prisma
	"currentschema":    "remove it; the worker's tables are in the schema webhook",               // JDBC
	"pgbouncer":        "remove it, and use the server's own port or the pooler in session mode", // Prisma
	"connection_limit": "remove it; a worker has at most seven connections",
	"pool_timeout":     "remove it", "pool_size": "remove it", "max_overflow": "remove it", "pool": "remove it",
	"socket_timeout": "remove it", "sslaccept": "write sslmode instead", "sslidentity": "write sslcert and sslkey instead",
	"ssl":        "write sslmode=require or sslmode=verify-full instead", // JDBC, node-postgres
	"usessl":     "write sslmode=require or sslmode=verify-full instead",
	"sslfactory": "write sslmode instead",
	"useunicode": "remove it", "characterencoding": "remove it", "charset": "remove it", "serverversion": "remove it",
	"stringtype": "remove it", "preparethreshold": "remove it", "statement_cache_size": "remove it",
	"rewritebatchedinserts": "remove it", "prepared_statements": "remove it", "async_fallback": "remove it",
}

// checkParameters removes parameters that need not be honoured and refuses those that cannot be. What is
// left is sent to the server as settings of the session; it refuses those that it does not know (see
// connectError).
func checkParameters(cfg *pq.Config) error {
	for name, value := range cfg.Runtime {
		if values, known := ignored[name]; known && (values == nil || slices.Contains(values, value)) {
			delete(cfg.Runtime, name)
			continue
		}
		remedy := refused[name]
		if remedy == "" {
			remedy = foreign[strings.ToLower(name)]
		}
		if remedy != "" {
			return fmt.Errorf("its parameter %s cannot be honoured: %s", name, remedy)
		}
	}
	switch cfg.TargetSessionAttrs {
	case pq.TargetSessionAttrsStandby, pq.TargetSessionAttrsPreferStandby, pq.TargetSessionAttrsReadOnly:
		return errors.New("its parameter target_session_attrs asks for a server that accepts no writes; write read-write, or remove it")
	case "", pq.TargetSessionAttrsAny:
		if len(cfg.Multi) > 0 { // of several servers the one that accepts writes
			cfg.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
		}
	}
	return nil
}
