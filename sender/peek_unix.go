//go:build unix

package sender

import (
	"errors"
	"net"
	"syscall"
)

// readable reports whether a read would return at once: with bytes, or because
// the other side has closed the connection. It reads nothing.
func readable(c net.Conn) bool {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	var waits bool
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waits = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err != nil || !waits
}
