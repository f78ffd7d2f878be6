package cli

import (
	"errors"

	"github.com/recordengine/webhooks/sender"
)

// proxy reads WEBHOOK_PROXY. It has no flag: others can see flags, and it may hold a password.
func (f *flags) proxy(proxy **sender.Proxy) {
	set := func(text string) (err error) {
		*proxy, err = sender.ParseProxy(text)
		return err
	}
	f.fromEnv("WEBHOOK_PROXY", set)
	f.fromEnv("WEBHOOK_PROXY_FILE", func(path string) error {
		if f.env("WEBHOOK_PROXY") != "" {
			return errors.New("WEBHOOK_PROXY is set, too: remove one of them")
		}
		text, err := fileOf("the file", path)()
		if err != nil {
			return err
		}
		return set(text)
	})
}

// proxyName is host and port for people, "" without a proxy.
func proxyName(p *sender.Proxy) string {
	if p == nil {
		return ""
	}
	return p.String()
}
