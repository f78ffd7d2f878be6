//go:build ha

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// haCluster is PostgreSQL on three nodes under Patroni, etcd on three more, and HAProxy: a container each,
// with the configuration of deploy/ha. Clients reach the nodes by one network (front), the nodes each other
// and etcd by another (back), so that a node can be cut off from its peers and not from its clients.
type haCluster struct {
	t           testing.TB
	settings    map[string]any // of Patroni, as they were set last
	front, back string         // the beginning of the addresses
	nodes       []haNode
	etcd        []string // containers
	haproxy     string   // its address
}

// haNode is a container with PostgreSQL, Patroni and PgBouncer.
type haNode struct{ name, container, front, back string }

const (
	haPassword = "ha-password"
	haPort     = "5432"
)

func newHACluster(t testing.TB) *haCluster {
	t.Helper()
	if _, err := dockerCommand("image", "inspect", haImage); err != nil {
		t.Fatalf("%v; integration_test/images/build.sh ha builds it", err)
	}
	removeAbandoned(t)
	run := fmt.Sprintf("webhooks-ha-%08x", rand.Uint32())
	c := &haCluster{t: t}
	t.Cleanup(func() { removeOwned(t, dockerOwner()) })
	c.front, c.back = dockerNetwork(t, run+"-front"), dockerNetwork(t, run+"-back")
	c.startEtcd(run)
	for i := range 3 {
		c.startNode(run, i)
	}
	c.startHAProxy(run)
	c.configure(map[string]any{})
	c.whole()
	return c
}

// create makes a container on a network; it is not started yet.
func (c *haCluster) create(name, network, address string, args ...string) {
	c.t.Helper()
	mustDocker(c.t, append([]string{"create", "--init", "--name", name, "--hostname", name, "--label", haLabel + "=" + dockerOwner(),
		"--network", network, "--ip", address, "--cap-add", "NET_ADMIN", "--entrypoint", ""}, args...)...)
}

// startEtcd: its data are in memory, which spares the machine an fsync for each heartbeat. A container
// that is paused keeps them.
func (c *haCluster) startEtcd(run string) {
	var members []string
	for i := range 3 {
		members = append(members, fmt.Sprintf("etcd%d=http://%s%d:2380", i+1, c.back, 21+i))
	}
	for i := range 3 {
		name, address := fmt.Sprintf("%s-etcd%d", run, i+1), fmt.Sprintf("%s%d", c.back, 21+i)
		c.create(name, run+"-back", address, "--tmpfs", "/data", haImage, "etcd", "--name", fmt.Sprintf("etcd%d", i+1), "--data-dir", "/data/etcd",
			"--listen-peer-urls", "http://0.0.0.0:2380", "--initial-advertise-peer-urls", "http://"+address+":2380",
			"--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", "http://"+address+":2379",
			"--initial-cluster", strings.Join(members, ","), "--heartbeat-interval", "250", "--election-timeout", "2500")
		mustDocker(c.t, "start", name)
		c.etcd = append(c.etcd, name)
	}
}

// startNode: PgBouncer refuses to run as root, and so do PostgreSQL and Patroni.
func (c *haCluster) startNode(run string, i int) {
	n := haNode{name: fmt.Sprintf("node%d", i+1), front: fmt.Sprintf("%s%d", c.front, 11+i), back: fmt.Sprintf("%s%d", c.back, 11+i)}
	n.container = run + "-" + n.name
	etcd := fmt.Sprintf("%s21:2379,%[1]s22:2379,%[1]s23:2379", c.back)
	c.create(n.container, run+"-front", n.front, "--volume", "/var/lib/postgresql/data",
		"--env", "HOME=/var/lib/postgresql", "--env", "PATRONI_NAME="+n.name, "--env", "PATRONI_ETCD3_HOSTS="+etcd,
		"--env", "PATRONI_RESTAPI_CONNECT_ADDRESS="+n.back+":8008", "--env", "PATRONI_POSTGRESQL_CONNECT_ADDRESS="+n.back+":5432",
		"--env", "PATRONI_SUPERUSER_PASSWORD="+haPassword, "--env", "PATRONI_REPLICATION_PASSWORD="+haPassword,
		haImage, "bash", "-c", `
			install -d -o postgres -m 700 /var/lib/postgresql/data
			install -d -o postgres /etc/pgbouncer /var/run/postgresql
			for user in postgres webhooks; do echo "\"$user\" \"$PATRONI_SUPERUSER_PASSWORD\""; done >/etc/pgbouncer/userlist.txt
			as_postgres="setpriv --reuid postgres --regid postgres --init-groups"
			$as_postgres pgbouncer -q /etc/ha/pgbouncer.ini &
			exec $as_postgres patroni /etc/ha/patroni.yml`)
	mustDocker(c.t, "network", "connect", "--ip", n.back, run+"-back", n.container)
	mustDocker(c.t, "cp", "../deploy/ha", n.container+":/etc/ha")
	mustDocker(c.t, "start", n.container)
	c.nodes = append(c.nodes, n)
}

func (c *haCluster) startHAProxy(run string) {
	name := run + "-haproxy"
	c.haproxy = c.front + "31"
	var hosts []string
	for _, n := range c.nodes {
		hosts = append(hosts, "--add-host", n.name+":"+n.front)
	}
	c.create(name, run+"-front", c.haproxy, append(hosts, haImage, "haproxy", "-W", "-db", "-f", "/etc/ha/haproxy.cfg")...)
	mustDocker(c.t, "cp", "../deploy/ha", name+":/etc/ha")
	mustDocker(c.t, "start", name)
}

// dsn leads to whichever node accepts writes.
func (c *haCluster) dsn(user, database string) string {
	return fmt.Sprintf("host=%s,%s,%s port=%s user=%s password=%s dbname=%s sslmode=disable connect_timeout=3 target_session_attrs=read-write",
		c.nodes[0].front, c.nodes[1].front, c.nodes[2].front, haPort, user, haPassword, database)
}

// haMember is a node as Patroni describes it.
type haMember struct {
	Name  string
	Role  string // leader, sync_standby, replica
	State string
	Lag   any // bytes; "unknown", or missing for the leader
}

// members is the cluster as the first node describes it that can.
func (c *haCluster) members() []haMember {
	for _, n := range c.nodes {
		var described struct{ Members []haMember }
		if err := c.rest(n, http.MethodGet, "/cluster", nil, &described); err == nil && len(described.Members) > 0 {
			return described.Members
		}
	}
	return nil
}

// rest calls Patroni's REST API on a node. A switchover is answered when it is over.
func (c *haCluster) rest(n haNode, method, path string, body, to any) error {
	limit := 3 * time.Second
	if method == http.MethodPost {
		limit = time.Minute
	}
	sent, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+n.front+":8008"+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Timeout: limit}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if to == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(to)
}

// leads returns the node that holds the leader lock, by what the node itself answers to HAProxy's check.
func (c *haCluster) leads() (leader haNode, found bool) {
	for _, n := range c.nodes {
		if c.rest(n, http.MethodOptions, "/primary", nil, nil) == nil {
			return n, true
		}
	}
	return haNode{}, false
}

func (c *haCluster) leader() haNode {
	c.t.Helper()
	var leader haNode
	eventually(c.t, "a node leads", func() (found bool) {
		leader, found = c.leads()
		return found
	})
	return leader
}

// standby returns a node that is not the leader: the synchronous one, or another.
func (c *haCluster) standby(synchronous bool) haNode {
	c.t.Helper()
	var standby haNode
	eventually(c.t, "there is such a standby", func() bool {
		for _, m := range c.members() {
			if m.Role != "leader" && (m.Role == "sync_standby") == synchronous {
				standby = c.named(m.Name)
				return true
			}
		}
		return false
	})
	return standby
}

func (c *haCluster) named(name string) haNode {
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	c.t.Fatalf("no node is named %q", name)
	return haNode{}
}

// whole waits until every node follows the leader, with a synchronous standby where one is required.
func (c *haCluster) whole() {
	c.t.Helper()
	synchronous := 0
	if c.settings["synchronous_mode"] == true {
		synchronous = 1
	}
	var seen []haMember
	defer func() {
		if c.t.Failed() {
			c.t.Logf("members: %+v", seen)
		}
	}()
	eventually(c.t, "all nodes are in order", func() bool {
		seen = c.members()
		roles := map[string]int{}
		for _, m := range seen {
			lag, isNumber := m.Lag.(float64)
			if m.State != "running" || m.Role != "leader" && (!isNumber || lag > 1<<20) {
				return false
			}
			roles[m.Role]++
		}
		return len(seen) == 3 && roles["leader"] == 1 && roles["sync_standby"] == synchronous
	})
}

// haConfig is what a test changes of deploy/ha/patroni.yml: shorter times, within Patroni's own limits, so that a run
// ends. docs/ha.md has the default ones.
var haConfig = map[string]any{
	"ttl": 20, "loop_wait": 2, "retry_timeout": 5, "maximum_lag_on_failover": 1 << 20,
	"synchronous_mode": true, "synchronous_mode_strict": false, "failsafe_mode": true,
}

// configure sets the settings of the cluster: those of every test, then a scenario's own.
func (c *haCluster) configure(own map[string]any) {
	c.t.Helper()
	c.settings = maps.Clone(haConfig)
	maps.Copy(c.settings, own)
	if os.Getenv("TIMES") == "default" {
		maps.Copy(c.settings, map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10})
	}
	eventually(c.t, "the settings are accepted", func() bool {
		leader, found := c.leads()
		return found && c.rest(leader, http.MethodPatch, "/config", c.settings, nil) == nil
	})
}
