package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/recordengine/webhooks/admin"
)

// leastPassword is the length of a password in characters (NIST SP 800-63B, 5.1.1.1); mostPassword, in bytes,
// is far above what a person or a password manager makes.
const (
	leastPassword = 8
	mostPassword  = 1024
)

// hashPasswordCommand is `webhooks admin hash-password`: it reads a password, from a terminal without showing it,
// and prints its hash.
var hashPasswordCommand = command{
	name:  "hash-password",
	about: "read the page's password and print its hash",
	text: "With --generate it makes a password instead of reading one, and shows it on standard error, once. " +
		"With --output it writes the hash to a file that only its owner may read, and leaves a file that exists as it is: " +
		"so it may run at each start of a container.",
	exits: "1 when the password cannot be used, or the file not written",
	examples: []string{
		"enter it twice, unseen: webhooks admin hash-password",
		"into the file that the page reads: webhooks admin hash-password --output /etc/webhooks/page.hash",
		"make a password, where the file has none yet: webhooks admin hash-password --generate --output /etc/webhooks/page.hash",
	},
	flags: func(f *flags) action {
		generate := f.Bool("generate", false, "make a password, and show it on standard error")
		output := f.String("output", "", "write the hash to this `file`, unless it exists")
		replace := f.Bool("replace", false, "with --output: replace a file that exists")
		return func(_, stop context.Context, _ []string) error {
			if *replace && *output == "" {
				return usagef("admin hash-password: --replace needs --output")
			}
			if _, err := os.Lstat(*output); *output != "" && err == nil && !*replace {
				return writeLine(f.p.Stdout, "%s exists, the password is unchanged (--replace makes another)", *output)
			}
			return runHashPassword(stop, f.p, *generate, *output)
		}
	},
}

func runHashPassword(stop context.Context, p Process, generate bool, output string) error {
	read := readPassword
	if generate {
		read = func(context.Context, Process) (string, error) { return rand.Text(), nil } // 128 bits at least, in letters and digits
	}
	password, err := read(stop, p)
	if err != nil {
		return err
	}
	if err := checkPassword(password); err != nil {
		return err
	}
	hash, err := admin.HashPassword(password)
	if err != nil {
		return err
	}
	if output == "" {
		err = writeLine(p.Stdout, "%s", hash)
	} else {
		err = writeSecretFile(output, hash+"\n")
	}
	if err != nil {
		return fmt.Errorf("admin hash-password: %w", err)
	}
	if generate {
		fmt.Fprintf(p.Stderr, "the page's password, shown only here: %s\n", password)
	}
	return nil
}

// writeSecretFile renames a complete file into place, which only its owner may read: the page reads it at any time.
func writeSecretFile(path, text string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// checkPassword refuses what is mistyped rather than chosen: it could not be typed again into a browser.
func checkPassword(password string) error {
	switch {
	case password == "":
		return errors.New("the password is empty")
	case !utf8.ValidString(password):
		return errors.New("the password is not in UTF-8, as browsers send it")
	case strings.ContainsAny(password, "\r\n"):
		return errors.New("the password has more than one line")
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("the password has a control character, perhaps of an arrow key")
	case utf8.RuneCountInString(password) < leastPassword:
		return fmt.Errorf("the password has fewer than %d characters", leastPassword)
	case len(password) > mostPassword:
		return fmt.Errorf("the password has more than %d bytes", mostPassword)
	}
	return nil
}

func readPassword(stop context.Context, p Process) (string, error) {
	terminal, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		text, err := io.ReadAll(io.LimitReader(p.Stdin, mostPassword+3)) // with the end of its line
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
	}
	first, err := prompted(stop, p, terminal, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := prompted(stop, p, terminal, "Again: ")
	if err == nil && again != first {
		err = errors.New("the two passwords differ")
	}
	return first, err
}

// prompted reads without an echo, which comes back also where it is interrupted.
func prompted(stop context.Context, p Process, terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(p.Stderr, prompt)
	defer fmt.Fprintln(p.Stderr)
	type line struct {
		text []byte
		err  error
	}
	entered := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		entered <- line{text, err}
	}()
	select {
	case l := <-entered:
		if l.err != nil {
			return "", fmt.Errorf("read the password: %w", l.err)
		}
		return string(l.text), nil
	case <-stop.Done():
		return "", errors.Join(errors.New("interrupted"), term.Restore(fd, before))
	}
}
