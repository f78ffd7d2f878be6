package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRelease_DebianPackageIsInstalledAndRemoved: that of `make release-check`, in a container of Debian.
func TestRelease_DebianPackageIsInstalledAndRemoved(t *testing.T) {
	dist := os.Getenv("WEBHOOK_TEST_RELEASE")
	if dist == "" {
		t.Skip("NOT TESTED: `make release-check` makes the packages")
	}
	found, err := filepath.Glob(dist + "/*_amd64.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("%q %v", found, err)
	}
	command(t, nil, "deploy/docker/images.sh")
	out := command(t, nil, "docker", "run", "--rm", "--network=none", "--volume", found[0]+":/webhooks.deb:ro", "--entrypoint=sh", "webhooks-packages-postgres", "-euc", `
		dpkg --install /webhooks.deb
		webhooks version
		stat --format='%a %U %n' /etc/recordengine /etc/recordengine/webhooks.env
		ls /usr/lib/systemd/system/webhooks.service /usr/lib/systemd/system/webhooks-page.service
		echo 'WEBHOOK_ENVIRONMENT=changed' >>/etc/recordengine/webhooks.env
		echo secret >/etc/recordengine/database-url
		echo == again
		dpkg --install /webhooks.deb
		tail -n 1 /etc/recordengine/webhooks.env
		echo == remove
		dpkg --remove recordengine-webhooks
		test -e /usr/bin/webhooks || echo no program
		tail -n 1 /etc/recordengine/webhooks.env
		cat /etc/recordengine/database-url
		echo == purge
		dpkg --purge recordengine-webhooks
		ls /etc/recordengine 2>/dev/null || echo no settings`)
	installed, rest, _ := strings.Cut(out, "== again")
	again, rest, _ := strings.Cut(rest, "== remove")
	removed, purged, _ := strings.Cut(rest, "== purge")
	for _, c := range []struct{ of, text, says string }{
		{"install", installed, "put the database's URL into /etc/recordengine/database-url"},
		{"install", installed, "webhooks 0."},
		{"install", installed, "700 root /etc/recordengine\n600 root /etc/recordengine/webhooks.env\n"},
		{"install", installed, "/usr/lib/systemd/system/webhooks-page.service"},
		{"upgrade", again, "the old version goes on until you run: webhooks migrate --roles"},
		{"upgrade", again, "WEBHOOK_ENVIRONMENT=changed"},
		{"remove", removed, "no program\nWEBHOOK_ENVIRONMENT=changed\nsecret\n"},
		{"purge", purged, "no settings"},
	} {
		if !strings.Contains(c.text, c.says) {
			t.Errorf("%s does not say %q:\n%s", c.of, c.says, c.text)
		}
	}
}
