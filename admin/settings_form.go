package admin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Lengths that no setting needs; the page refuses what is longer.
const (
	maxURL   = 8000
	maxToken = 8000
)

// settingsForm is what a person sent: all groups, of which they may have changed some.
type settingsForm struct {
	channels []*channelForm
	auth     authForm
	sendTo   map[string]bool // the endpoints, by key, to which the token may be sent as well
}

// channelForm is one group as it was typed.
type channelForm struct {
	Name         string
	Was          string // the fingerprint of the values that the form was made from
	URL          string
	Enabled      bool
	Statuses     string
	MaxInFlight  string
	MaxPerSecond string
	Traceparent  bool

	changed  bool              // by this person
	parsed   ChannelSettings   // what was typed, once check has found nothing wrong
	wrong    map[string]string // what is wrong with a field, by its name within the group
	repaired []string          // codes
	theirs   *ChannelSettings  // what another person saved meanwhile
}

// authForm is the group "Webhook Auth" as it was typed.
type authForm struct {
	Was      string // see authVersion
	Auth     string
	Token    string
	wrong    map[string]string
	repaired []string
	conflict bool
}

// readSettingsForm reads a form of the page over these settings.
func readSettingsForm(form url.Values, now Settings) (*settingsForm, error) {
	in := fieldsOf(form)
	read := &settingsForm{sendTo: map[string]bool{}}
	for _, channel := range now.Channels {
		name := channel.Name
		c := &channelForm{
			Name: name, Was: in.text(name + ".was"), URL: in.text(name + ".url"), Enabled: in.tick(name + ".enabled"),
			Statuses: in.text(name + ".statuses"), MaxInFlight: in.text(name + ".in_flight"), MaxPerSecond: in.text(name + ".per_second"),
			Traceparent: in.tick(name + ".traceparent"),
			wrong:       map[string]string{},
		}
		c.changed = c.fingerprint() != c.Was
		read.channels = append(read.channels, c)
	}
	read.auth = authForm{Was: in.text("auth.was"), Auth: in.choice("auth", "none", "bearer"), Token: in.text("token"), wrong: map[string]string{}}
	if _, ok := versionOf(read.auth.Was); in.err == nil && !ok {
		in.wrong("The field auth.was is malformed.")
	}
	in.known["send_to"] = true
	for _, endpoint := range form["send_to"] {
		read.sendTo[endpoint] = true
	}
	return read, in.done()
}

// check repairs what can be, and examines what this person has changed. urlProblems is that of the Store.
func (f *settingsForm) check(urlProblems func([]string) ([]string, error)) error {
	var urls []string
	for _, c := range f.channels {
		if c.changed {
			c.parsed.URL, c.repaired = RepairURL(c.URL)
			urls = append(urls, storable(c.parsed.URL))
		}
	}
	problems, err := urlProblems(urls)
	if err != nil {
		return err
	}
	for _, c := range f.channels {
		if c.changed {
			c.check(problems[0])
			problems = problems[1:]
		}
	}
	f.auth.check()
	return nil
}

func (c *channelForm) check(urlProblem string) {
	url := c.parsed.URL
	c.parsed.Name, c.parsed.Enabled, c.parsed.SendTraceparent = c.Name, c.Enabled, c.Traceparent
	switch {
	case url == "" && c.Enabled:
		c.wrong["url"] = channelTitle(c.Name) + " is enabled and has no URL. Paste the URL of its webhook, or untick Enabled."
	case url == "":
	case len(url) > maxURL:
		c.wrong["url"] = fmt.Sprintf("The URL has more than %s bytes. Paste it again: it may be there more than once.", number(maxURL))
	case unseenIn(url) != "":
		c.wrong["url"] = "The URL contains " + unseenIn(url) + ". Paste it again from the receiving tool, as one line."
	case urlProblem != "":
		c.wrong["url"] = urlInWords(urlProblem) + " Paste it again from the receiving tool, for example https://hook.eu1.make.com/…"
	}
	var wrong string
	if c.parsed.AcceptStatuses, wrong = ParseStatuses(c.Statuses); wrong != "" {
		c.wrong["statuses"] = wrong
	}
	if c.parsed.MaxInFlight, wrong = parseLimit(c.MaxInFlight, 1000); wrong != "" {
		c.wrong["in_flight"] = wrong
	}
	if strings.TrimSpace(c.MaxPerSecond) == "" {
		return
	}
	if c.parsed.MaxPerSecond, wrong = parseLimit(c.MaxPerSecond, 10000); wrong != "" {
		c.wrong["per_second"] = wrong + " Leave it empty for no limit."
	}
}

func (a *authForm) check() {
	if a.Token == "" {
		return
	}
	a.Token, a.repaired = RepairToken(a.Token)
	switch {
	case a.Token == "":
		a.wrong["token"] = "The token is only white space. Paste it again, or leave the field empty to keep what is set."
	case strings.EqualFold(a.Token, "bearer"):
		a.wrong["token"] = "The token is missing: this is only the word Bearer. Paste what follows it."
	case len(a.Token) > maxToken:
		a.wrong["token"] = fmt.Sprintf("The token has more than %s bytes. Paste the token alone.", number(maxToken))
	case unseenIn(a.Token) != "":
		a.wrong["token"] = "The token contains " + unseenIn(a.Token) + ". Paste it again, as one line."
	case a.Auth == "none":
		a.wrong["token"] = "A token was pasted, but None is selected. Select Bearer Token to send it, or leave the field empty. Then paste it again: what was pasted is not kept."
	}
}

// anyWrong reports whether a field is wrong.
func (f *settingsForm) anyWrong() bool {
	for _, c := range f.channels {
		if len(c.wrong) > 0 {
			return true
		}
	}
	return len(f.auth.wrong) > 0
}

// urlInWords is webhook.url_problem as a sentence.
func urlInWords(problem string) string {
	if rest, ok := strings.CutPrefix(problem, "its URL"); ok {
		problem = "The URL" + rest
	}
	return problem + "."
}

// ParseStatuses reads "200, 201, 204". wrong: what is wrong with it, in words.
func ParseStatuses(text string) (statuses []int, wrong string) {
	const expected = " List statuses from 200 to 299, or 409, with commas between them, such as 200, 201, 204."
	seen := map[int]bool{}
	for part := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ',' || c == ';' || unseen(c) }) {
		status, ok := digits(part)
		if !ok || status != 409 && (status < 200 || status > 299) {
			return nil, "“" + middle(part, 20) + "” cannot count as delivered." + expected
		}
		if !seen[status] {
			seen[status] = true
			statuses = append(statuses, status)
		}
	}
	if len(statuses) == 0 {
		return nil, "Without a status nothing would count as delivered." + expected
	}
	return statuses, ""
}

func parseLimit(text string, most int) (limit int, wrong string) {
	text = strings.TrimSpace(text)
	limit, ok := digits(text)
	if !ok || limit < 1 || limit > most {
		return 0, fmt.Sprintf("Enter a whole number from 1 to %s. To stop a channel, untick Enabled.", capped(int64(most)))
	}
	return limit, ""
}

// digits reads a number that consists of a few digits only.
func digits(text string) (n int, ok bool) {
	if text == "" || len(text) > 9 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// storable is a text as PostgreSQL can receive it, to be judged there. What it leaves out is refused anyway.
func storable(text string) string {
	if len(text) > maxURL || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	return text
}
