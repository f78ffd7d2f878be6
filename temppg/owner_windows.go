package temppg

import "syscall"

// processAttributes are none on Windows, where only StartDocker is of use.
func (o *owner) processAttributes() *syscall.SysProcAttr { return nil }
