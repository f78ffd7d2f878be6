package temppg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// StartAny runs a new, empty server of the first that works: the machine's binaries, Docker, binaries that are
// downloaded. For each that does not, Options.Out gets a line that says why. The error of all three names the command
// that installs PostgreSQL here.
func StartAny(ctx context.Context, options Options) (*Server, error) {
	var failures []error
	for _, start := range []func(context.Context, Options) (*Server, error){Start, StartDocker, StartDownloaded} {
		server, err := start(ctx, options)
		if err == nil {
			return server, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		options.say("%s", strings.Join(strings.Fields(err.Error()), " "))
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("%w\ninstall PostgreSQL, then repeat: %s", errors.Join(failures...), InstallCommand())
}

// installers install PostgreSQL's server, by the program of which one is here.
var installers = []struct{ program, command string }{
	{"apt-get", "apt-get install -y postgresql"},
	{"dnf", "dnf install -y postgresql-server"},
	{"apk", "apk add postgresql"},
	{"pacman", "pacman -S --noconfirm postgresql"},
	{"zypper", "zypper install -y postgresql-server"},
}

// InstallCommand is the one command that installs PostgreSQL's server binaries on this machine.
func InstallCommand() string {
	for _, i := range installers {
		if _, err := exec.LookPath(i.program); err == nil {
			if os.Geteuid() != 0 {
				return "sudo " + i.command
			}
			return i.command
		}
	}
	return "brew install postgresql@17"
}
