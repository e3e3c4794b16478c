package session

import (
	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/voice"
)

// metrics of the sessions. Counting is per call, never per packet.
type metrics struct {
	calls         *prometheus.CounterVec
	faults        prometheus.Counter
	writeFailures prometheus.Counter
}

func newMetrics(r prometheus.Registerer, m *Manager) *metrics {
	out := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_session_calls_total", Help: "Calls since the start, by direction.",
		}, []string{"direction"}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_session_faults_total", Help: "Sessions that broke off by a fault of the server.",
		}),
		writeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_session_write_failures_total", Help: "State changes that the database did not take at the first try.",
		}),
	}
	if r != nil {
		r.MustRegister(out.calls, out.faults, out.writeFailures, liveCalls{m})
	}
	return out
}

// liveCalls counts the live calls by status when metrics are read.
type liveCalls struct{ m *Manager }

func liveCallsDesc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_session_calls", "Calls that live now, by status.", []string{"status"}, nil)
}

// Describe implements prometheus.Collector.
func (liveCalls) Describe(ch chan<- *prometheus.Desc) { ch <- liveCallsDesc() }

// Collect implements prometheus.Collector.
func (c liveCalls) Collect(ch chan<- prometheus.Metric) {
	counts := c.m.Counts()
	for _, status := range voice.CallStatuses() {
		if !status.Terminal() {
			ch <- prometheus.MustNewConstMetric(liveCallsDesc(), prometheus.GaugeValue, float64(counts[status]), string(status))
		}
	}
}
