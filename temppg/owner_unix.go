//go:build unix && !linux

package temppg

import "syscall"

// processAttributes make a process the owner's and keep a terminal's Ctrl-C from it. Only Linux can tie a child to its
// parent: here a server survives a parent that is killed with SIGKILL.
func (o *owner) processAttributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if o != nil {
		attributes.Credential = &syscall.Credential{Uid: o.uid, Gid: o.gid}
	}
	return attributes
}
