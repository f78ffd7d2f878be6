package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/recordengine/webhooks/store"
)

// jwk is a public key as RFC 8037 has it.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	ID        string `json:"kid"`
	X         string `json:"x"`
}

// secretsJWKS is `webhooks secrets jwks`: the public keys as a JWK set (RFC 7517), to be published.
var secretsJWKS = command{
	name: "jwks", role: adminRole,
	about: "print the public keys as a JWK set (RFC 7517), to be published",
	examples: []string{
		"show them: webhooks secrets jwks",
		"as a file of a web server: webhooks secrets jwks >/var/www/html/webhooks-jwks.json",
	},
	flags: func(f *flags) action {
		do := f.admins()
		return func(_, stop context.Context, _ []string) error {
			return do(stop, func(a *store.Admin) error { return printJWKS(stop, f.p, a) })
		}
	},
}

func printJWKS(ctx context.Context, p Process, a *store.Admin) error {
	keys, err := a.PublicKeys(ctx)
	if err != nil {
		return err
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jwk{Type: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig", ID: fmt.Sprint(k.ID), X: base64.RawURLEncoding.EncodeToString(k.Key)})
	}
	out := json.NewEncoder(p.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(set)
}
