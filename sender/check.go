package sender

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Check reports whether a channel's URL and bearer token can be called as they
// are configured, without calling them. The error has the text of an attempt
// with outbox.FailureConfig and shows nothing of either. An empty token is
// valid: no Authorization header is sent then. What can have been meant in one
// way only is read that way: what cannot be seen at the ends is dropped, and so is
// the word Bearer before a token.
//
// A URL may carry userinfo (https://user:password@host); it is sent as Basic
// authorization, unless there is a token, which wins.
func Check(rawURL, token string) error {
	_, err := checkEndpoint(rawURL, token)
	return err
}

// CheckURL is Check of a URL that belongs to no channel. The error shows nothing of it.
func CheckURL(rawURL string) error {
	raw := trimmed(rawURL)
	u, err := parseURL(raw)
	if err != nil {
		return err
	}
	_, err = newTarget(u, raw, "")
	return err
}

// Check is the package's Check, also of the signing secrets, remembered for each setting.
func (s *Sender) Check(rawURL, token, secrets string) error {
	return s.endpoint(rawURL, token, secrets).err
}

// checkEndpoint is Check that also returns what will be called.
func checkEndpoint(rawURL, token string) (*target, error) {
	raw := trimmed(rawURL)
	u, err := parseURL(raw)
	if err == nil {
		err = checkToken(token)
	}
	var to *target
	if err == nil {
		to, err = newTarget(u, raw, bare(token))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot call: %w; nothing was sent", err)
	}
	return to, nil
}

// parseURL never returns the text of url.Parse, which quotes what it could not
// parse: perhaps a part of a password or key.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("the channel has no URL")
	}
	if r, found := firstOf(raw, func(r rune) bool { return r < ' ' || r == 0x7f || isInvisible(r) }); found {
		return nil, fmt.Errorf("the URL contains %s", character(r))
	}
	if !utf8.ValidString(raw) {
		return nil, errors.New("the URL contains bytes that are not UTF-8")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the URL cannot be parsed: %s", parseProblem(err))
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	if strings.Contains(raw, " ") {
		return nil, fmt.Errorf("the URL contains %s", character(' '))
	}
	return u, nil
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

// checkToken applies RFC 9110 to a field value: no control character. Of what
// cannot be seen within it, no reading is the only one.
func checkToken(token string) error {
	sent := bare(token)
	switch {
	case token != "" && sent == "":
		return errors.New("the bearer token is only white space")
	case strings.EqualFold(sent, "bearer"):
		return errors.New("the bearer token is missing: it is only the word Bearer")
	}
	if r, found := firstOf(sent, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); found {
		return fmt.Errorf("the bearer token contains %s, so it is no header value", character(r))
	}
	if r, found := firstOf(sent, isInvisible); found {
		return fmt.Errorf("the bearer token contains %s", character(r))
	}
	return nil
}
