package temppg

import "syscall"

// processAttributes make a process the owner's, keep a terminal's Ctrl-C from it (its own process group: the worker
// still needs the database while it drains), and let the kernel crash it when we die without having stopped it.
func (o *owner) processAttributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if o != nil {
		attributes.Credential = &syscall.Credential{Uid: o.uid, Gid: o.gid}
	}
	return attributes
}
