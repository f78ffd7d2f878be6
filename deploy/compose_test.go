package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// stack is compose.yaml, started under a name, a network and a port of its own.
type stack struct {
	t       *testing.T
	compose []string
	project string
	env     []string
	page    string // its address
}

// newStack builds every image from Dockerfile, on base images from Debian packages.
func newStack(t *testing.T) *stack {
	t.Helper()
	engine(t)
	s := &stack{t: t, project: fmt.Sprintf("webhooks-packages-%d", rand.Uint32()), compose: []string{"docker", "compose"}}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		tool(t, "docker-compose", "apt-get install docker-compose")
		s.compose = []string{"docker-compose"}
	}
	command(t, nil, "deploy/docker/images.sh")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.page = "http://127.0.0.1:" + port
	s.env = []string{"GO_IMAGE=webhooks-packages-go", "POSTGRES_IMAGE=webhooks-packages-postgres", "WEBHOOKS_IMAGE=webhooks-packages:compose",
		"PAGE_PORT=" + port, fmt.Sprintf("SUBNET=10.98.%d.0/24", 100+rand.IntN(100)), "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logs())
		}
		afterwards(t, s.env, s.compose[0], s.args("down", "--volumes", "--remove-orphans", "--timeout", "1")...)
	})
	return s
}

func (s *stack) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *stack) try(args ...string) (string, error) {
	s.t.Helper()
	return attempt(s.t, s.env, s.compose[0], s.args(args...)...)
}

func (s *stack) args(args ...string) []string {
	return slices.Concat(s.compose[1:], []string{"--project-name", s.project}, args)
}

func (s *stack) logs(services ...string) string {
	s.t.Helper()
	out, _ := s.try(append([]string{"logs", "--no-color"}, services...)...)
	return out
}

// publish is RecordEngine's part; the id of the event is returned.
func (s *stack) publish(event, data string) string {
	s.t.Helper()
	out := s.run("run", "--rm", "application", "--tuples-only", "--no-align", "--quiet", fmt.Sprintf("--command=select 'event ' || webhook.publish('%s', '%s')", event, data))
	id := regexp.MustCompile(`event (\d+)`).FindStringSubmatch(out)
	if id == nil {
		s.t.Fatal("no event was published:", out)
	}
	return id[1]
}

// until asks again, since what containers do has no event that could be awaited.
func (s *stack) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("after two minutes: not %s\n%s", what, s.logs())
		}
	}
}

// container is what Docker says of one.
type container struct {
	Name   string
	Config struct {
		User   string
		Labels map[string]string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		CapDrop        []string
		SecurityOpt    []string
	}
	State struct {
		ExitCode int
		Health   struct{ Status string }
	}
	NetworkSettings struct {
		Ports map[string][]struct {
			HostIP string `json:"HostIp"`
		}
	}
}

func (s *stack) containers() (all map[string]container, text string) {
	s.t.Helper()
	ids := strings.Fields(command(s.t, nil, "docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+s.project, "--filter", "label=com.docker.compose.oneoff=False"))
	if len(ids) == 0 {
		return nil, ""
	}
	text = command(s.t, nil, "docker", append([]string{"inspect"}, ids...)...)
	var list []container
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.t.Fatal(err)
	}
	all = map[string]container{}
	for _, c := range list {
		all[c.Config.Labels["com.docker.compose.service"]] = c
	}
	return all, text
}

func (s *stack) healthy() {
	s.t.Helper()
	s.until("healthy", func() bool { all, _ := s.containers(); return all["worker"].State.Health.Status == "healthy" })
}

func (s *stack) password() string {
	s.t.Helper()
	found := regexp.MustCompile(`shown only here: (\S+)`).FindAllStringSubmatch(s.logs("login"), -1)
	if len(found) != 1 {
		s.t.Fatalf("the log shows %d passwords of the page", len(found))
	}
	return found[0][1]
}

// TestCompose_UpAloneDeliversAnEvent: what a newcomer does, and what others on the machine and its network may not.
func TestCompose_UpAloneDeliversAnEvent(t *testing.T) {
	s := newStack(t)
	s.run("up", "--build", "--detach")
	s.healthy()

	// On the page, with the password of the log.
	browser := s.login(s.password())
	if status, where := browser.post("/settings/integrations/webhooks/test", url.Values{"channel": {"contacts"}}); status != http.StatusSeeOther || !strings.HasPrefix(where, "/deliveries/") {
		t.Fatalf("Send test event: %d, to %s", status, where)
	}
	s.until("a test event at the receiver", func() bool {
		return regexp.MustCompile(`200 +contact\.created .* /contacts `).MatchString(s.logs("receiver"))
	})

	// By the application, which may publish and nothing else.
	s.publish("document.exported", `{"id": 42, "status": "Export"}`)
	s.until("the document at the receiver", func() bool {
		return regexp.MustCompile(`200 +document\.exported .* /documents `).MatchString(s.logs("receiver"))
	})
	if out, err := s.try("run", "--rm", "application", "--command=select url from webhook.channels"); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("the application reads the settings: %v\n%s", err, out)
	}

	t.Run("nothing else can be reached", s.onlyThePageIsPublished)
	t.Run("no secret is in a container's configuration", s.secretsAreInFiles)
	t.Run("each program has no privileges", s.programsHaveNoPrivileges)
	t.Run("a second start changes nothing", s.startsAgain)
	t.Run("what has begun is finished", s.stopsGracefully)
	t.Run("nothing is left", s.leavesNothing)
}

func (s *stack) onlyThePageIsPublished(t *testing.T) {
	all, _ := s.containers()
	for service, c := range all {
		for port, bound := range c.NetworkSettings.Ports {
			for _, b := range bound {
				if service != "worker" || port != "8098/tcp" || b.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s is published at %s", service, port, b.HostIP)
				}
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.page+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "attacker.example.com" // a name that was pointed at 127.0.0.1
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("the page answers another host with %d", res.StatusCode)
	}
}

func (s *stack) secretsAreInFiles(t *testing.T) {
	_, text := s.containers()
	out := s.run("run", "--rm", "--no-deps", "--entrypoint=sh", "application", "-c", "cd /secrets; for f in postgres worker page application; do echo secret $(cat $f); done")
	found := regexp.MustCompile(`secret ([0-9a-f]{48})`).FindAllStringSubmatch(out, -1)
	if len(found) != 4 {
		t.Fatalf("found %d passwords:\n%s", len(found), out)
	}
	log := s.logs()
	for i, secret := range found {
		if strings.Contains(text, secret[1]) || strings.Contains(log, secret[1]) {
			t.Errorf("password %d is shown by docker inspect or in a log", i)
		}
		for _, other := range found[:i] {
			if other[1] == secret[1] {
				t.Error("two users have one password")
			}
		}
	}
	// The worker cannot read the owner's.
	out, err := s.try("run", "--rm", "--no-deps", "-e", "DATABASE_URL_FILE=/secrets/postgres.url", "worker", "status")
	if err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("the worker's user reads the owner's password: %v\n%s", err, out)
	}
}

func (s *stack) programsHaveNoPrivileges(t *testing.T) {
	all, _ := s.containers()
	for service, user := range map[string]string{"worker": "65532:65532", "receiver": "65532:65532", "login": "65532:65532", "migrate": "65533:65533"} {
		c := all[service]
		if h := c.HostConfig; c.Config.User != user || !h.ReadonlyRootfs || !slices.Equal(h.CapDrop, []string{"ALL"}) || !slices.Contains(h.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: user %q, %+v", service, c.Config.User, h)
		}
	}
	for _, service := range []string{"passwords", "migrate", "setup", "login"} {
		if code := all[service].State.ExitCode; code != 0 {
			t.Errorf("%s ended with %d", service, code)
		}
	}
}

func (s *stack) startsAgain(*testing.T) {
	before := s.password()
	s.run("exec", "-T", "worker", "webhooks", "status")
	s.run("stop")
	s.run("up", "--detach")
	s.healthy()
	s.login(before)
	if out := s.run("exec", "-T", "worker", "webhooks", "list", "--document", "42"); !regexp.MustCompile(`sent +documents +42`).MatchString(out) {
		s.t.Errorf("the events are gone:\n%s", out)
	}
}

// stopsGracefully: a stop waits for a receiver that takes longer than the ten seconds that Docker grants by default.
func (s *stack) stopsGracefully(t *testing.T) {
	s.run("run", "--detach", "--name", s.project+"-slow", "receiver", "receive", "--listen", ":8099", "--delay", "13s")
	t.Cleanup(func() { afterwards(t, nil, "docker", "rm", "--force", s.project+"-slow") })
	s.setURL("contacts", "http://"+s.project+"-slow:8099/")
	id := s.publish("contact.created", `{"contact_id": 9}`)
	s.until("in flight", func() bool {
		return strings.Contains(s.run("exec", "-T", "worker", "webhooks", "show", id, "--json"), `"sending"`)
	})
	began := time.Now()
	s.run("stop", "worker")
	took := time.Since(began)
	all, _ := s.containers()
	if code := all["worker"].State.ExitCode; code != 0 || took > 35*time.Second {
		t.Errorf("the worker stopped with %d after %s", code, took)
	}
	if out := s.run("run", "--rm", "--no-deps", "-T", "worker", "show", id, "--json"); !strings.Contains(out, `"sent"`) {
		t.Errorf("the event that was in flight is not recorded as sent:\n%s", out)
	}
}

// setURL is an administrator's part.
func (s *stack) setURL(channel, to string) {
	s.t.Helper()
	s.run("run", "--rm", "--no-deps", "-T", "-e", "DATABASE_URL_FILE=/secrets/page.url", "worker", "set", channel, "--url", to)
}

func (s *stack) leavesNothing(t *testing.T) {
	s.run("down", "--volumes", "--timeout", "40")
	filter := "label=com.docker.compose.project=" + s.project
	for _, left := range [][]string{{"ps", "--all", "--quiet"}, {"volume", "ls", "--quiet"}, {"network", "ls", "--quiet"}} {
		if out := command(t, nil, "docker", append(left, "--filter", filter)...); strings.TrimSpace(out) != "" {
			t.Errorf("docker %s: %s", left[0], out)
		}
	}
}

// browser is logged in to the page.
type browser struct {
	s      *stack
	client *http.Client
}

func (s *stack) login(password string) *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if status, where := b.post("/login", url.Values{"next": {"/"}, "name": {"Ann"}, "password": {password}}); status != http.StatusSeeOther || where != "/" {
		s.t.Fatalf("log in: %d, to %s", status, where)
	}
	return b
}

func (b *browser) post(path string, form url.Values) (status int, location string) {
	b.s.t.Helper()
	req, err := http.NewRequestWithContext(b.s.t.Context(), http.MethodPost, b.s.page+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.s.page)
	res, err := b.client.Do(req)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Location")
}
