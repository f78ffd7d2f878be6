package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/recordengine/webhooks/atrest"
)

// The places for which secrets are encrypted: table, column and row.
const tokenPlace = "webhook.settings.bearer_token/true"

func secretPlace(id int64) string { return "webhook.secrets.secret/" + strconv.FormatInt(id, 10) }

// opener decrypts what a claim returns: each text once, since it is the same in every claim until a
// person changes it.
type opener struct {
	keys  *atrest.Keys
	known sync.Map // a text as the database has it to what it was read to
}

// opened is a text as it is used. The problem is for people: why the text cannot be decrypted.
type opened struct{ plain, problem string }

func (o *opener) remember(kind, stored string, read func() opened) opened {
	type key struct{ kind, stored string }
	if found, ok := o.known.Load(key{kind, stored}); ok {
		return found.(opened) //nolint:forcetypeassert // nothing else is stored
	}
	now := read()
	o.known.Store(key{kind, stored}, now)
	return now
}

// token reads the bearer token as it is stored.
func (o *opener) token(stored string) opened {
	if !atrest.Sealed(stored) {
		return opened{plain: stored}
	}
	return o.remember("token", stored, func() opened {
		plain, err := o.keys.Open(tokenPlace, stored)
		return opened{plain, unopened("the bearer token", err, tokenRemedy)}
	})
}

// secrets reads the signing secrets as the claim returns them, id:secret with one space between them.
func (o *opener) secrets(stored string) opened {
	if stored == "" {
		return opened{}
	}
	return o.remember("secrets", stored, func() opened {
		var all []string
		for _, each := range strings.Split(stored, " ") {
			number, secret, _ := strings.Cut(each, ":")
			id, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return opened{problem: "the signing secrets cannot be read"}
			}
			plain, err := o.keys.Open(secretPlace(id), secret)
			if err != nil {
				return opened{problem: unopened("signing secret "+number, err, secretRemedy(id))}
			}
			all = append(all, plain)
		}
		return opened{plain: strings.Join(all, " ")}
	})
}

// What to do about a secret that cannot be decrypted with its key.
const tokenRemedy = "set it again"

func secretRemedy(id int64) string {
	return fmt.Sprintf("make another: webhooks secrets new, then webhooks secrets retire %d", id)
}

// unopened says why a secret cannot be used, and what to do.
func unopened(what string, err error, remedy string) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, atrest.ErrUnknownKey):
		return fmt.Sprintf("%s cannot be decrypted: %v; add that key", what, err)
	}
	return fmt.Sprintf("%s cannot be decrypted: %v; %s", what, err, remedy)
}

// openedText scans a text that is the same in row after row, and reads it once.
type openedText struct {
	read func(stored string) opened
	text string
	opened
}

// Scan implements sql.Scanner.
func (o *openedText) Scan(src any) error {
	switch text := src.(type) {
	case []byte:
		if string(text) != o.text {
			o.text = string(text)
			o.opened = o.read(o.text)
		}
	case string:
		if text != o.text {
			o.text = text
			o.opened = o.read(o.text)
		}
	default:
		return fmt.Errorf("%T is no text", src)
	}
	return nil
}
