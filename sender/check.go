package sender

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Check reports whether a channel's URL and bearer token can be called as they
// are configured, without calling them. The error has the text of an attempt
// with outbox.FailureConfig and shows nothing of either. An empty token is
// valid: no Authorization header is sent then.
//
// A URL may carry userinfo (https://user:password@host); it is sent as Basic
// authorization, unless there is a token, which wins.
func Check(rawURL, token string) error {
	_, err := checkEndpoint(rawURL, token)
	return err
}

// Check is the package's Check, remembered for each URL and token.
func (s *Sender) Check(rawURL, token string) error { return s.endpoint(rawURL, token).err }

// checkEndpoint is Check that also returns the URL.
func checkEndpoint(rawURL, token string) (*url.URL, error) {
	u, err := parseURL(rawURL)
	if err == nil {
		err = checkToken(token)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot call: %w; nothing was sent", err)
	}
	return u, nil
}

// parseURL never returns the text of url.Parse, which quotes what it could not
// parse: perhaps a part of a password or key.
func parseURL(raw string) (*url.URL, error) {
	switch {
	case strings.TrimSpace(raw) == "":
		return nil, errors.New("the channel has no URL")
	case strings.TrimSpace(raw) != raw:
		return nil, errors.New("the URL begins or ends with white space")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the URL cannot be parsed: %s", parseProblem(err))
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL does not begin with https:// or http://")
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("the URL's port is not between 1 and 65535")
		}
	}
	return nil
}

// parseProblems are the errors of url.Parse in words that quote nothing.
var parseProblems = []struct{ sign, words string }{
	{"control character", "it contains a control character"},
	{"invalid URL escape", "it contains a % that begins no escape such as %20"},
	{"invalid port", "what follows the host's colon is no port"},
	{"invalid userinfo", "its user or password contains a character that must be escaped"},
	{"in host name", "its host contains a character that no host may have"},
	{"missing ']'", "its host lacks a closing bracket"},
	{"scheme", "it does not begin with https:// or http://"},
}

func parseProblem(err error) string {
	for _, p := range parseProblems {
		if strings.Contains(reasonOf(err), p.sign) {
			return p.words
		}
	}
	return "it is malformed"
}

// reasonOf is the error without the URL, which could contain any of the signs.
func reasonOf(err error) string {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// checkToken applies RFC 9110 to a field value: no control character, and white
// space at its ends would be lost on the way.
func checkToken(token string) error {
	for i := range len(token) {
		if c := token[i]; c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("the bearer token contains a line break or another control character, so it is no header value")
		}
	}
	if strings.Trim(token, " \t") != token {
		return errors.New("the bearer token begins or ends with white space")
	}
	return nil
}
