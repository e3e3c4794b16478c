package webhook

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/voice"
)

type metrics struct {
	attempts *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_webhook_attempts_total", Help: "Attempts at telling a receiver of an event by result: delivered, retry, given_up.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tapedeck_webhook_attempt_seconds", Help: "How long an attempt took.",
			Buckets: prometheus.ExponentialBuckets(0.005, 4, 7), // 5 ms to 20 s
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.attempts), reg.Register(m.seconds))
}

func (m *metrics) observe(now voice.DeliveryStatus, r result, took time.Duration) {
	how := "retry"
	switch {
	case r.problem == "":
		how = "delivered"
	case now == voice.DeliveryFailed:
		how = "given_up"
	}
	m.attempts.WithLabelValues(how).Inc()
	m.seconds.Observe(took.Seconds())
}
