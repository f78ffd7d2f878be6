package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/recordengine/webhooks/signature"
	"github.com/recordengine/webhooks/store"
)

// secretsCommand is `webhooks secrets`: what requests are signed with.
var secretsCommand = command{
	name: "secrets", group: groupSet,
	about: "make, list and end what requests are signed with; encrypt it and the token",
	text:  "Requests are signed as Standard Webhooks 1.0.0 has it as soon as there is a secret.",
	examples: []string{
		"sign requests from now on: webhooks secrets new",
		"which secrets sign, and until when: webhooks secrets list",
	},
	words: []command{secretsNew, secretsList, secretsRetire, secretsJWKS, secretsEncrypt},
}

var secretsNew = command{
	name: "new", role: adminRole,
	about: "make a secret and print it; older ones sign beside it for a while",
	text: "The secret, or the public key of a pair, is on standard output, the rest on standard error. The older secrets of the same " +
		"kind sign beside it until the overlap is over, so that receivers can be changed one after the other.",
	exits: "1 when it could not be made",
	examples: []string{
		"a shared secret (HMAC-SHA256): webhooks secrets new",
		"a key pair, the older one signing for another week: webhooks secrets new --ed25519 --overlap 168h",
	},
	flags: func(f *flags) action {
		asymmetric := f.Bool("ed25519", false, "a key pair: receivers verify with its public key, and cannot sign themselves")
		overlap := f.Duration("overlap", 24*time.Hour, "how long the older secrets of this kind sign beside the new one")
		do := f.admins()
		return func(_, stop context.Context, _ []string) error {
			kind := signature.HMAC
			if *asymmetric {
				kind = signature.Ed25519
			}
			if *overlap < 0 || *overlap > store.MaxOverlap {
				return usagef("secrets new: --overlap: %s is no duration from 0 to ten years", *overlap)
			}
			return do(stop, func(a *store.Admin) error {
				id, secret, err := a.NewSecret(stop, "", kind, *overlap)
				if err != nil {
					return err
				}
				return printNewSecret(stop, f.p, a, id, secret)
			})
		}
	},
}

// printNewSecret prints what the receivers need on standard output, for scripts, and the rest on
// standard error.
func printNewSecret(ctx context.Context, p Process, a *store.Admin, id int64, secret string) error {
	key, err := signature.Parse(secret)
	if err != nil {
		return err
	}
	shown, about := secret, "it is shown this once"
	if key.Kind() == signature.Ed25519 {
		shown, about = signature.PublicText(key.Public()), "this is the public key; the private key stays in the database"
	}
	if _, err := fmt.Fprintln(p.Stdout, shown); err != nil {
		return err
	}
	fmt.Fprintf(p.Stderr, "Signing secret %d (%s) for the receivers: %s. Requests are signed with it from now on.\n", id, key.Kind(), about)
	all, err := a.ListSecrets(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.ID != id && s.Kind == key.Kind() && !s.Ended {
			fmt.Fprintf(p.Stderr, "Signing secret %d signs beside it until %s.\n", s.ID, when(s.Ends))
		}
	}
	return nil
}

var secretsList = command{
	name: "list", role: adminRole,
	about: "list the secrets, who made them, and until when they sign",
	text:  "The secrets themselves are not shown.",
	examples: []string{
		"all of them: webhooks secrets list",
		"those that have no end: webhooks secrets list | grep 'no end'",
	},
	flags: func(f *flags) action {
		do := f.admins()
		return func(_, stop context.Context, _ []string) error {
			return do(stop, func(a *store.Admin) error { return listSecrets(stop, f.p, a) })
		}
	},
}

func listSecrets(ctx context.Context, p Process, a *store.Admin) error {
	all, err := a.ListSecrets(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return writeLine(p.Stdout, "There is no signing secret: requests are not signed. To make one: webhooks secrets new")
	}
	t := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tCREATED\tBY\tSIGNS UNTIL")
	for _, s := range all {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", s.ID, s.Kind, when(&s.Created), visible(s.Actor), ends(s))
	}
	return t.Flush()
}

// ends says until when a secret signs.
func ends(s signature.Row) string {
	switch {
	case s.Ended:
		return "ended " + when(s.Ends)
	case s.Ends == nil:
		return "no end"
	}
	return when(s.Ends)
}

var secretsRetire = command{
	name: "retire", role: adminRole,
	arguments: []argument{{name: "ID"}},
	about:     "end a secret at once",
	text:      "Requests that are claimed from then on are not signed with it.",
	exits:     "1 when there is no such secret, or it has ended",
	examples: []string{
		"end secret 1 before its time: webhooks secrets retire 1",
		"its id: webhooks secrets list",
	},
	flags: func(f *flags) action {
		do := f.admins()
		return func(_, stop context.Context, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("secrets retire: %q is no id of a signing secret; webhooks secrets list shows them", args[0])
			}
			return do(stop, func(a *store.Admin) error { return retireSecret(stop, f.p, a, id) })
		}
	},
}

func retireSecret(ctx context.Context, p Process, a *store.Admin, id int64) error {
	err := a.RetireSecret(ctx, "", id)
	if errors.Is(err, signature.ErrNone) || errors.Is(err, signature.ErrEnded) {
		return fmt.Errorf("secrets retire %d: %w", id, err)
	}
	if err != nil {
		return err
	}
	return printRetired(ctx, p, a, id)
}

func printRetired(ctx context.Context, p Process, a *store.Admin, id int64) error {
	all, err := a.ListSecrets(ctx)
	if err != nil {
		return err
	}
	var sign []string
	for _, s := range all {
		if !s.Ended {
			sign = append(sign, strconv.FormatInt(s.ID, 10))
		}
	}
	left := "no secret is left: requests are no longer signed"
	if len(sign) > 0 {
		left = "what signs is " + strings.Join(sign, ", ")
	}
	_, err = fmt.Fprintf(p.Stdout, "Signing secret %d signs nothing that is claimed from now on; %s.\n", id, left)
	return err
}

// secretsEncrypt is `webhooks secrets encrypt`: what is in plain text, or under an older key.
var secretsEncrypt = command{
	name: "encrypt", role: adminRole,
	about: "encrypt token and secrets in the database under the first key",
	text:  "The keys are in WEBHOOK_SECRET_KEY or WEBHOOK_SECRET_KEY_FILE: the first encrypts, all decrypt. Workers and page need them as well.",
	exits: "1 when it failed",
	examples: []string{
		"what was written in plain text: webhooks secrets encrypt",
		"under a new key, the old one second: WEBHOOK_SECRET_KEY=\"$NEW,$OLD\" webhooks secrets encrypt",
	},
	flags: func(f *flags) action {
		do := f.admins()
		return func(_, stop context.Context, _ []string) error {
			return do(stop, func(a *store.Admin) error { return encryptSecrets(stop, f.p, a) })
		}
	},
}

func encryptSecrets(ctx context.Context, p Process, a *store.Admin) error {
	done, err := a.EncryptSecrets(ctx, "")
	switch {
	case errors.Is(err, store.ErrNoKey):
		return usagef("secrets encrypt: %v; make one with openssl rand -base64 32, and give it to workers and page as well", err)
	case err != nil:
		return fmt.Errorf("secrets encrypt: %w", err)
	case len(done) == 0:
		return writeLine(p.Stdout, "Nothing to encrypt: the token and the signing secrets are encrypted under the first key, or there are none.")
	}
	return writeLine(p.Stdout, "Encrypted: %s.", strings.Join(done, ", "))
}
