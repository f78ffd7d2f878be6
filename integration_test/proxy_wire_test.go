package integration_test

import (
	"bytes"
	wire "encoding/binary"
	"fmt"
	"io"
	"strings"
)

// sessionEnded is what the server sends to a session that it ends.
var sessionEnded = errorResponse("SFATAL", "VFATAL", "C57P01", "Mterminating connection due to administrator command")

func errorResponse(fields ...string) []byte {
	body := strings.Join(fields, "\x00") + "\x00\x00"
	return append(wire.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
}

// endsRequest: a simple query or a Sync; the server answers with ReadyForQuery.
func endsRequest(kind byte) bool { return kind == 'Q' || kind == 'S' }

// arguments reads the argument formats and values of a Bind message.
func arguments(b []byte) (args [][]byte) {
	b = b[2+2*int(wire.BigEndian.Uint16(b)):]
	n := int(wire.BigEndian.Uint16(b))
	b = b[2:]
	for range n {
		size := int(int32(wire.BigEndian.Uint32(b)))
		b = b[4:]
		if size < 0 { // null
			args = append(args, nil)
			continue
		}
		args, b = append(args, b[:size]), b[size:]
	}
	return args
}

// firstColumn reads the first value of a DataRow message as text; "" for none or null.
// lib/pq requests integers in binary. Eight printable bytes are text: as an id they would
// be beyond any that occurs.
func firstColumn(b []byte) string {
	if len(b) < 6 || wire.BigEndian.Uint16(b) == 0 {
		return ""
	}
	size := int(int32(wire.BigEndian.Uint32(b[2:])))
	if size <= 0 || len(b) < 6+size {
		return ""
	}
	value := b[6 : 6+size]
	if size == 8 && bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprint(int64(wire.BigEndian.Uint64(value)))
	}
	return string(value)
}

// readStartup reads the first message of a connection, which has no type.
func readStartup(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	return readRest(r, head, wire.BigEndian.Uint32(head))
}

// readMessage reads a message with its type.
func readMessage(r io.Reader) (kind byte, message []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	message, err = readRest(r, head, wire.BigEndian.Uint32(head[1:])+1)
	return head[0], message, err
}

func readRest(r io.Reader, head []byte, size uint32) ([]byte, error) {
	if size < uint32(len(head)) || size > 1<<28 {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	message := append(make([]byte, 0, size), head...)[:size]
	_, err := io.ReadFull(r, message[len(head):])
	return message, err
}
