package cli

import (
	"net/http"
	"strings"
	"time"

	"github.com/recordengine/webhooks/signature"
)

// secretFlags are the secrets that a trial receiver verifies with. They are read once all flags are:
// package flag quotes a value that it refuses.
type secretFlags []string

func (s *secretFlags) set(text string) error {
	*s = append(*s, text)
	return nil
}

// verify is how a signature is verified; nil without a secret.
func (s secretFlags) verify() (func(http.Header, []byte) error, error) {
	if len(s) == 0 {
		return nil, nil
	}
	v := &signature.Verifier{Now: time.Now}
	for _, text := range s {
		key, err := signature.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		v.Keys = append(v.Keys, key)
	}
	return v.Verify, nil
}
