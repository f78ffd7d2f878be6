//go:build ha

package integration_test

// kill ends a node at once, with everything on it.
func (c *haCluster) kill(n haNode) {
	c.t.Helper()
	mustDocker(c.t, "kill", n.container)
}

// revive starts it again, on the data that it had.
func (c *haCluster) revive(n haNode) {
	c.t.Helper()
	mustDocker(c.t, "start", n.container)
}

// drop makes a node's network silent towards addresses (iptables' notation): what it sends and what is
// sent to it is lost, and nothing is closed.
func (c *haCluster) drop(n haNode, addresses ...string) {
	c.t.Helper()
	for _, a := range addresses {
		mustDocker(c.t, "exec", n.container, "iptables", "-A", "INPUT", "-s", a, "-j", "DROP")
		mustDocker(c.t, "exec", n.container, "iptables", "-A", "OUTPUT", "-d", a, "-j", "DROP")
	}
}

// heal ends the silence.
func (c *haCluster) heal(n haNode) {
	c.t.Helper()
	mustDocker(c.t, "exec", n.container, "iptables", "-F")
}

// cutOff separates a node from its peers and etcd. Its clients and HAProxy still reach it.
func (c *haCluster) cutOff(n haNode) { c.drop(n, c.back+"0/24") }

// isolate separates a node from everything.
func (c *haCluster) isolate(n haNode) { c.drop(n, c.back+"0/24", c.front+"0/24") }

// stopReplication separates a node from the other two, which still share etcd with it.
func (c *haCluster) stopReplication(n haNode) {
	for _, other := range c.nodes {
		if other != n {
			c.drop(n, other.back)
		}
	}
}

// loseQuorum freezes two of three etcd members, and returns what lets them go on.
func (c *haCluster) loseQuorum() (restore func()) {
	c.t.Helper()
	mustDocker(c.t, append([]string{"pause"}, c.etcd[:2]...)...)
	return func() { mustDocker(c.t, append([]string{"unpause"}, c.etcd[:2]...)...) }
}

// switchOver is the planned kind: Patroni stops the leader in good order and promotes a standby that has everything.
func (c *haCluster) switchOver(from, to haNode) {
	c.t.Helper()
	if err := c.rest(from, "POST", "/switchover", map[string]string{"leader": from.name, "candidate": to.name}, nil); err != nil {
		c.t.Fatal(err)
	}
}

// repair ends whatever a test that failed has left.
func (c *haCluster) repair() {
	_, _ = dockerCommand(append([]string{"unpause"}, c.etcd[:2]...)...) // none is paused
	for _, n := range c.nodes {
		c.revive(n)
		c.heal(n)
	}
}
