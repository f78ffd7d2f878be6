package deploy

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const releaseFile = "deploy/docker/Dockerfile.release"

// The two Dockerfiles make the same image, and the same Go builds it as a release.
func TestImage_BothFilesAgree(t *testing.T) {
	ends := func(name string) string {
		_, end, _ := strings.Cut(file(t, name), "\nUSER ")
		return end
	}
	if ends("Dockerfile") != ends(releaseFile) || ends("Dockerfile") == "" {
		t.Errorf("from USER on, Dockerfile and %s differ", releaseFile)
	}
	image := one(t, "Dockerfile", `(?m)^ARG GO_IMAGE=(.*)$`)
	if compiler := one(t, ".goreleaser.yaml", `GOTOOLCHAIN=go(\S+)`); !strings.HasPrefix(image, "golang:"+compiler+"-") {
		t.Errorf("Dockerfile builds with %s, a release with Go %s", image, compiler)
	}
	if got := one(t, "compose.yaml", `\$\{GO_IMAGE:-(.*)\}`); got != image {
		t.Errorf("compose.yaml builds with %s, Dockerfile with %s", got, image)
	}
	if flags := one(t, "Dockerfile", `go build (.*) -o /webhooks \.`); flags != `-trimpath -buildvcs=false -ldflags "-X github.com/recordengine/webhooks/cli.version=${VERSION}"` {
		t.Errorf("Dockerfile builds with %s", flags)
	}
	for name := range map[string]bool{"Dockerfile": true, releaseFile: true, "compose.yaml": true} {
		for _, m := range regexp.MustCompile(`(?:FROM |_IMAGE(?:=|:-))([a-z]+)(:[^\s}]*)?`).FindAllStringSubmatch(file(t, name), -1) {
			if m[1] != "scratch" && !regexp.MustCompile(`^:\d+`).MatchString(m[2]) && m[1] != "recordengine" && m[1] != "files" {
				t.Errorf("%s: the image %s has no version", name, m[0])
			}
		}
	}
}

// imageConfig is what `docker image inspect` says of an image.
type imageConfig struct {
	Config struct {
		User, StopSignal     string
		Env, Entrypoint, Cmd []string
		ExposedPorts         map[string]any
		Healthcheck          struct{ Test []string }
	}
}

func inspectImage(t *testing.T, name string) (c imageConfig) {
	t.Helper()
	if err := json.Unmarshal([]byte(command(t, nil, "docker", "image", "inspect", "--format", "{{ json . }}", name)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// releaseImage builds the image of a release from a binary of this tree, as goreleaser lays them out.
func releaseImage(t *testing.T) string {
	t.Helper()
	const name = "webhooks-packages:release"
	command(t, nil, "deploy/docker/images.sh")
	context, platform := t.TempDir(), strings.TrimSpace(command(t, nil, "docker", "version", "--format", "{{ .Server.Os }}/{{ .Server.Arch }}"))
	for _, needed := range []string{releaseFile, "deploy/docker/passwd", "LICENSE", "docs/licences.md"} {
		path := filepath.Join(context, needed)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file(t, needed)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-X github.com/recordengine/webhooks/cli.version=1.2.3", "-o", filepath.Join(context, platform, "webhooks"), ".")
	command(t, []string{"DOCKER_BUILDKIT=0"}, "docker", "build", "--quiet", "--build-arg=TARGETPLATFORM="+platform, "--build-arg=FILES_IMAGE=webhooks-packages-files",
		"--tag", name, "--file", filepath.Join(context, releaseFile), context)
	return name
}

// It contains the program, the certificate authorities, a name for its user, the licences, and nothing else: no shell.
func TestImage_OfAReleaseHasTheProgramAlone(t *testing.T) {
	engine(t)
	name := releaseImage(t)
	c := inspectImage(t, name).Config
	if c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !slices.Equal(c.Healthcheck.Test, []string{"CMD", "/usr/local/bin/webhooks", "health"}) ||
		!slices.Equal(c.Entrypoint, []string{"/usr/local/bin/webhooks"}) || !slices.Equal(c.Cmd, []string{"run"}) {
		t.Errorf("the image is configured as %+v", c)
	}
	if out := command(t, nil, "docker", "run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none", name, "version"); out != "webhooks 1.2.3\n" {
		t.Errorf("it says that it is %q", out)
	}

	container := strings.TrimSpace(command(t, nil, "docker", "create", name))
	t.Cleanup(func() { afterwards(t, nil, "docker", "rm", container) })
	dir := t.TempDir()
	command(t, nil, "docker", "export", "--output", dir+"/all.tar", container)
	var files []string
	for _, path := range strings.Fields(command(t, nil, "tar", "-tf", dir+"/all.tar")) {
		if made := regexp.MustCompile(`^(dev|proc|sys)/|^\.dockerenv$|^etc/(hosts|hostname|resolv\.conf|mtab)$`); !strings.HasSuffix(path, "/") && !made.MatchString(path) {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	want := []string{"etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/webhooks", "usr/share/doc/webhooks/LICENSE", "usr/share/doc/webhooks/licences.md"}
	if !slices.Equal(files, want) {
		t.Errorf("the image has the files %q, want %q", files, want)
	}

	command(t, nil, "tar", "-C", dir, "-xf", dir+"/all.tar", "etc/ssl/certs/ca-certificates.crt")
	rest, err := os.ReadFile(dir + "/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	authorities := 0
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			authorities++
		}
	}
	if authorities < 50 {
		t.Errorf("the image has %d certificate authorities", authorities)
	}
}
