package sender

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"bufio"
	"io"

	"github.com/recordengine/webhooks/signature"
)

// BenchmarkSend is one attempt on a loopback receiver that does next to nothing.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{200, 1 << 20} {
		for _, at := range []int{1, 64} {
			b.Run(fmt.Sprintf("%d_bytes_%d_at_once", size, at), func(b *testing.B) {
				s := New(Options{Timeout: 10 * time.Second, AllowNetworks: loopback})
				defer s.Close()
				req := newRequest("http://" + quickReceiver(b))
				req.Body, req.Token = bytes.Repeat([]byte("x"), size), plainToken
				b.SetParallelism(at)
				b.ReportAllocs()
				b.ResetTimer()
				work := func(next func() bool) {
					for next() {
						if got := s.Send(context.Background(), req); !got.Delivered() {
							b.Errorf("got %+v", got)
							return
						}
					}
				}
				if at == 1 {
					work(b.Loop)
					return
				}
				b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
			})
		}
	}
}

// BenchmarkSignature is what signatures add to the work of an attempt: BenchmarkSend is the whole of it.
func BenchmarkSignature(b *testing.B) {
	for _, kinds := range [][]signature.Kind{{signature.HMAC}, {signature.HMAC, signature.HMAC}, {signature.Ed25519}} {
		for _, size := range []int{200, 2000, 1 << 20} {
			b.Run(fmt.Sprintf("%v_%d_bytes", kinds, size), func(b *testing.B) {
				var secrets []string
				for _, kind := range kinds {
					secrets = append(secrets, signature.NewSecret(kind))
				}
				to := newEndpoint("https://h.example", "", strings.Join(secrets, " "))
				req := newRequest("https://h.example")
				req.Body = bytes.Repeat([]byte("x"), size)
				head := make([]byte, 0, 1024)
				b.ReportAllocs()
				for b.Loop() {
					to.finish(head, req, time.Now())
				}
			})
		}
	}
}

// quickReceiver reads a request by its Content-Length and answers 200.
func quickReceiver(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go quickAnswers(c)
		}
	}()
	return l.Addr().String()
}

func quickAnswers(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	for length := 0; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(line) == 2 {
			if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
				return
			}
			_, _ = io.WriteString(c, keepAliveOK)
		}
	}
}
