package cli

import (
	"errors"

	"github.com/recordengine/webhooks/atrest"
)

// secretKeys are the keys that token and signing secrets are encrypted under in the database; nil: none.
// There is no flag: others can see flags.
func (f *flags) secretKeys() (keys *atrest.Keys) {
	f.fromEnv("WEBHOOK_SECRET_KEY", func(text string) (err error) {
		keys, err = atrest.Parse(text)
		return err
	})
	f.fromEnv("WEBHOOK_SECRET_KEY_FILE", func(path string) error {
		if keys != nil {
			return errors.New("WEBHOOK_SECRET_KEY is set as well: set one of them")
		}
		text, err := fileOf("WEBHOOK_SECRET_KEY_FILE", path)()
		if err != nil {
			return err
		}
		keys, err = atrest.Parse(text)
		return err
	})
	return keys
}
