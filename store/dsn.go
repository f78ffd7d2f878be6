package store

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/lib/pq"
)

// parse reads a DSN: a URL as libpq has it, or key=value pairs. Its errors name what is wrong and the
// remedy, and never quote a value: it may be the password, or a part of it.
func parse(dsn string) (pq.Config, error) {
	dsn = unquote(dsn)
	scheme, rest, isURL := strings.Cut(dsn, "://")
	switch {
	case dsn == "":
		return pq.Config{}, errors.New("it is empty")
	case strings.HasPrefix(dsn, "jdbc:"):
		return pq.Config{}, errors.New("it is a JDBC URL; write postgres://user:password@host:5432/database instead")
	case isURL && variable.MatchString(scheme):
		return pq.Config{}, errors.New(`it begins with the name of a variable; write only what stands behind the first "="`)
	case isURL && !strings.ContainsAny(scheme, " ='"):
		if scheme != "postgres" && scheme != "postgresql" {
			return pq.Config{}, errors.New("its scheme is unknown; a URL begins with postgres:// or postgresql://")
		}
		if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return pq.Config{}, errors.New("it contains a space, a line break or another control character; percent-encode it")
		}
		pairs, err := pairsOfURL(rest)
		if err != nil {
			return pq.Config{}, err
		}
		dsn = pairs
	}
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return pq.Config{}, unusable(err)
	}
	err = checkParameters(&cfg)
	return cfg, err
}

// variable is the beginning of a line like export DATABASE_URL="postgres://...". Read as a list of pairs
// it would lead to the local host.
var variable = regexp.MustCompile(`^(export )?\w+=["']?postgres(ql)?$`)

// unquote removes what surrounds a URL that was copied from a file of settings: quotes, and the byte
// order mark with which some editors begin a file.
func unquote(dsn string) string {
	dsn = strings.TrimSpace(strings.TrimPrefix(dsn, "\ufeff"))
	for _, quote := range []string{`"`, `'`} {
		if len(dsn) > 1 && strings.HasPrefix(dsn, quote) && strings.HasSuffix(dsn, quote) {
			dsn = strings.TrimSpace(dsn[1 : len(dsn)-1])
		}
	}
	return dsn
}

// pairsOfURL is a URL behind its scheme as key=value pairs. net/url knows neither a list of hosts with
// ports nor a socket's folder, and ends a password at "#".
func pairsOfURL(rest string) (string, error) {
	var pairs dsnPairs
	user, rest := userOfURL(rest)
	name, password, hasPassword := strings.Cut(user, ":")
	pairs.add("user", name, name != "")
	pairs.add("password", password, hasPassword)
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	var hosts, ports []string
	for h := range strings.SplitSeq(authority, ",") {
		host, port, err := hostAndPort(h)
		if err != nil {
			return "", err
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	pairs.add("host", strings.Join(hosts, ","), authority != "")
	pairs.add("port", strings.Join(ports, ","), strings.Trim(strings.Join(ports, ""), ",") != "")
	pairs.add("dbname", database, database != "")
	for parameter := range strings.SplitSeq(query, "&") {
		if parameter == "" {
			continue
		}
		name, value, ok := strings.Cut(parameter, "=")
		if !ok {
			return "", errors.New(`a parameter behind "?" has no "="`)
		}
		pairs.add(name, strings.ReplaceAll(value, "+", "%20"), true)
	}
	return pairs.text.String(), pairs.err
}

// userOfURL splits off the user and the password: what stands before an "@" that no "/" precedes. A
// password may contain another "@" or a "?", which mean nothing else there.
func userOfURL(rest string) (user, behind string) {
	head, _, _ := strings.Cut(rest, "/")
	first := strings.Index(head, "@")
	if first < 0 {
		return "", rest
	}
	if query := strings.Index(head[first:], "?"); query >= 0 {
		head = head[:first+query]
	}
	last := strings.LastIndex(head, "@")
	return rest[:last], rest[last+1:]
}

// errEncode: a user name or password has a character that means something else in a URL.
var errEncode = errors.New(`its user name or password has a character that must be percent-encoded in a URL: "@" as %40, "/" as %2F, "?" as %3F, ":" as %3A, "#" as %23, "%" as %25`)

// hostAndPort splits one host of a URL's list.
func hostAndPort(text string) (host, port string, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok { // an IPv6 address
		host, rest, closed := strings.Cut(inner, "]")
		if !closed || rest != "" && !strings.HasPrefix(rest, ":") {
			return "", "", errors.New("an IPv6 address in it has no closing bracket")
		}
		text = ":" + strings.TrimPrefix(rest, ":")
		_, port, _ = strings.Cut(text, ":")
		return host, port, checkPort(port)
	}
	host, port, _ = strings.Cut(text, ":")
	if strings.ContainsAny(host, "@#") {
		return "", "", errEncode
	}
	return host, port, checkPort(port)
}

// checkPort: what is no number is mostly the beginning of a password.
func checkPort(port string) error {
	if strings.Trim(port, "0123456789") != "" {
		return errEncode
	}
	return nil
}

// dsnPairs collects key=value pairs.
type dsnPairs struct {
	text strings.Builder
	err  error
}

func (p *dsnPairs) add(name, encoded string, present bool) {
	value, err := url.PathUnescape(encoded)
	switch {
	case !present:
	case err != nil && p.err == nil:
		p.err = errEncode
	default:
		fmt.Fprintf(&p.text, "%s='%s' ", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
	}
}

// unusable says what is wrong with a DSN, without the text that lib/pq quotes: it may be the password.
func unusable(err error) error {
	text := err.Error()
	if strings.HasPrefix(text, `pq: wrong value for "sslmode"`) || strings.HasPrefix(text, "pq: environment variable") {
		return errors.New(text)
	}
	if _, rest, ok := strings.Cut(text, "pq: wrong value for $"); ok {
		name, _, _ := strings.Cut(rest, ":")
		return fmt.Errorf("beside it the environment variable %s is read, and its value cannot be used; unset it", name)
	}
	if _, rest, ok := strings.Cut(text, `pq: wrong value for "`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return fmt.Errorf("the value of its parameter %s cannot be used", name)
	}
	if _, rest, ok := strings.Cut(text, "pq: unsupported "); ok { // of client_encoding and datestyle
		name, _, _ := strings.Cut(rest, " ")
		return fmt.Errorf("its parameter %s cannot be honoured: remove it, the worker sets its own", name)
	}
	if strings.Contains(text, "service") { // a line of its file may be a password
		return errors.New("the service that it or PGSERVICE names is not in the service file, or the file cannot be used; write host, user and dbname instead")
	}
	var file *os.PathError
	if errors.As(err, &file) {
		return file
	}
	return errors.New("it is neither a URL like postgres://user:password@host:5432/database?sslmode=disable nor a list of key=value pairs that lib/pq understands")
}

// SameDatabase reports whether two DSNs lead to the same database as the same role in the same way: at most
// their passwords differ. One that cannot be read is the same as no other.
func SameDatabase(a, b string) bool {
	one, err := parse(a)
	if err != nil {
		return false
	}
	other, err := parse(b)
	if err != nil {
		return false
	}
	one.Password, other.Password = "", ""
	return reflect.DeepEqual(one, other)
}

// CheckDSN returns why a DSN cannot be used, see parse.
func CheckDSN(dsn string) error {
	_, err := parse(dsn)
	return err
}
