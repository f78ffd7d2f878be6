package sender

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSend_BodyDoesNotChangeTheStatus(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		hang         bool
		delivered    bool
		response     string
	}{
		{"breaks after 200", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", false, true, "part"},
		{"breaks after 500", "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\npart", false, false, "part"},
		{"bad chunk after 200", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n", false, true, "part"},
		{"runs out of time after 200", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", true, true, "part"},
		{"runs out of time after 500", "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\npart", true, false, "part"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				conn.request(r)
				conn.say("%s", c.answer)
				if c.hang {
					conn.hang()
				}
			})
			got := send(t, newSender(t, 900*time.Millisecond), newRequest(srv.url()))
			if got.Delivered() != c.delivered || got.Response != c.response {
				t.Errorf("got %+v", got)
			}
			if !c.delivered {
				failsWith(t, got, "HTTP 500 Internal Server Error from "+srv.url())
			}
		})
	}
}

func TestSend_DrippingBodyEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 500} {
		gone := make(chan struct{})
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			for r.Context().Err() == nil {
				w.Write([]byte("."))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
			close(gone)
		})
		got := send(t, newSender(t, 900*time.Millisecond), newRequest(srv.URL))
		if got.Delivered() != (code == 200) || got.Status != code || !strings.HasPrefix(got.Response, ".") {
			t.Errorf("status %d: got %+v", code, got)
		}
		if got.Took > 5*time.Second {
			t.Errorf("took %v", got.Took)
		}
		<-gone
	}
}

func TestSend_EndlessBodyIsReadUpToTheLimit(t *testing.T) {
	gone := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		chunk := []byte(strings.Repeat("x", 32<<10))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	got := send(t, newSender(t, time.Minute), newRequest(srv.URL))
	if !got.Delivered() || len(got.Response) != maxResponse {
		t.Errorf("delivered %v, %d bytes", got.Delivered(), len(got.Response))
	}
	<-gone // the connection was closed, not drained
}

// The receiver sends as much as is read, promises more and falls silent: nothing
// is waited for that would not be read.
func TestSend_DoesNotWaitBehindTheReadLimit(t *testing.T) {
	const timeout = 10 * time.Second
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(64*maxRead))
		w.Write([]byte(strings.Repeat("x", maxRead)))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if got := send(t, newSender(t, timeout), newRequest(srv.URL)); !got.Delivered() || got.Took >= bodyTime {
		t.Errorf("delivered %v after %s", got.Delivered(), got.Took)
	}
}

func TestSend_GzipBombIsNotInflated(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("compression was requested: %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 4 {
			z.Write(make([]byte, 1<<20))
		}
		z.Close()
	})
	got := send(t, newSender(t, time.Minute), newRequest(srv.URL))
	if !got.Delivered() || got.Response != "" { // NUL is shown as a space, and only so much of them is inflated
		t.Errorf("got %+v", got)
	}
}

func TestBody_InflatesNoMoreThanIsRead(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range 16 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	b := body{bytes: packed.Bytes(), whole: true}
	if !b.inflate("gzip") || len(b.bytes) != maxRead || b.whole {
		t.Errorf("%d bytes, whole %t", len(b.bytes), b.whole)
	}
}
