package sender

import "net"

// records is the socket below TLS. It follows the records that are read from it:
// of one that has not come in full, TLS shows nothing.
type records struct {
	net.Conn
	head [5]byte
	have int // bytes of the current record's head
	left int // bytes that its body lacks
}

func (r *records) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.follow(p[:n])
	return n, err
}

func (r *records) follow(read []byte) {
	for len(read) > 0 {
		if r.left == 0 {
			n := copy(r.head[r.have:], read)
			read, r.have = read[n:], r.have+n
			if r.have < len(r.head) {
				return
			}
			r.left, r.have = int(r.head[3])<<8|int(r.head[4]), 0
		}
		n := min(r.left, len(read))
		read, r.left = read[n:], r.left-n
	}
}

// within reports whether a record has come in part.
func (r *records) within() bool { return r.have > 0 || r.left > 0 }
