package metrics

import (
	"database/sql"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// process is what is known of the process itself.
func process(opts Options) []prometheus.Collector {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "webhook_build_info",
		Help:        "Always 1: the version of the binary, and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"version": opts.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "webhook_log_lines_dropped_total",
		Help: "Lines of the log that were dropped because standard error was not read, or could not be written.",
	}, func() float64 { return float64(opts.DroppedLines()) })
	return []prometheus.Collector{build, dropped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
}

// Pool adds a pool of connections: go_sql_… with the name as db_name.
func (m *Metrics) Pool(name string, db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, name))
}
