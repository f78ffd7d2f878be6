package metrics

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // it registers itself with the default mux, which nothing here serves
	"net/netip"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes are answered at once; further ones get a 503.
const maxScrapes = 4

// Handler serves /metrics and the health checks; on a loopback address, /debug/pprof/ as well.
//
//   - /livez answers as long as the process serves at all. A worker without its database is alive: a
//     restart would not help.
//   - /readyz answers 200 while the worker can deliver, else 503 with the reasons.
func (m *Metrics) Handler(loopback bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true, Registry: m.registry,
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := m.unready(); why != "" {
			answer(w, http.StatusServiceUnavailable, "not ready: "+why)
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	if loopback {
		profiles(mux)
	}
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// profiles serves /debug/pprof/, except the command line, which may hold a password.
func profiles(mux *http.ServeMux) {
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET /debug/pprof/"+path, named(h))
	}
	mux.Handle("GET /debug/pprof/cmdline", http.NotFoundHandler())
}

// named answers only where the request names this machine: a page on the Internet may have its own name
// lead to a loopback address, and would read the answer.
func named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			answer(w, http.StatusForbidden, "call it by its address or as localhost")
			return
		}
		h.ServeHTTP(w, r)
	})
}
