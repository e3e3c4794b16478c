package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/store"
)

type metrics struct {
	ended   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, r *Runner) (*metrics, error) {
	m := &metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_jobs_attempts_total", Help: "Attempts at jobs by result: done, retry, given_up, broken_off.",
		}, []string{"kind", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tapedeck_jobs_attempt_seconds", Help: "How long an attempt took.",
			Buckets: prometheus.ExponentialBuckets(0.005, 4, 9), // 5 ms to 5 min
		}, []string{"kind"}),
	}
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tapedeck_jobs_running", Help: "Jobs that are being done.",
	}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.running))
	})
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(table{db: r.o.DB, log: r.o.Logger}), reg.Register(m.ended), reg.Register(m.seconds), reg.Register(running))
}

// table counts the jobs in the database when it is asked.
type table struct {
	db  *store.DB
	log *slog.Logger
}

// tableTimeout is less than Prometheus gives a scrape (10 s).
const tableTimeout = 5 * time.Second

func (table) desc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_jobs_pending", "Jobs that are not done: due, waiting for their time, or being done.", []string{"kind"}, nil)
}

// Describe tells the name of the metric.
func (t table) Describe(c chan<- *prometheus.Desc) { c <- t.desc() }

// Collect reads the table. One that cannot be read is left out.
func (t table) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), tableTimeout)
	defer cancel()
	var counts map[string]int
	err := t.db.View(ctx, func(tx *store.Tx) (err error) {
		counts, err = tx.CountJobs()
		return err
	})
	if err != nil {
		t.log.Warn("cannot count jobs", "error", err)
		return
	}
	for kind, n := range counts {
		c <- prometheus.MustNewConstMetric(t.desc(), prometheus.GaugeValue, float64(n), kind)
	}
}

func (m *metrics) observe(kind string, err error, lost bool, took time.Duration) {
	result := "done"
	var gone permanent
	switch {
	case lost:
		result = "broken_off"
	case errors.As(err, &gone):
		result = "given_up"
	case err != nil:
		result = "retry"
	}
	m.ended.WithLabelValues(kind, result).Inc()
	m.seconds.WithLabelValues(kind).Observe(took.Seconds())
}
