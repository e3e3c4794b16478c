package publish

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

type metrics struct {
	renders *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, db *store.DB) *metrics {
	m := &metrics{
		renders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_publish_renders_total", Help: "Recordings rendered from their journals, by outcome.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tapedeck_publish_seconds", Help: "Time from the start of a rendering to the published file.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
	}
	if r != nil {
		r.MustRegister(m.renders, m.seconds, rows{db})
	}
	return m
}

// rows reads counts from the database when metrics are read.
type rows struct{ db *store.DB }

func recordingsDesc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_publish_recordings", "Recordings in the database, by status.", []string{"status"}, nil)
}

func debtDesc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_publish_render_debt_seconds", "Seconds of captured audio that no file was made of yet.", nil, nil)
}

// Describe implements prometheus.Collector.
func (rows) Describe(ch chan<- *prometheus.Desc) {
	ch <- recordingsDesc()
	ch <- debtDesc()
}

// Collect implements prometheus.Collector.
func (r rows) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := r.db.View(ctx, func(tx *store.Tx) error {
		counts, err := tx.CountRecordings()
		if err != nil {
			return err
		}
		open, err := tx.UnfinishedRecordings()
		if err != nil {
			return err
		}
		for _, status := range voice.RecordingStatuses() {
			ch <- prometheus.MustNewConstMetric(recordingsDesc(), prometheus.GaugeValue, float64(counts[status]), string(status))
		}
		debt := time.Duration(0)
		for _, rec := range open {
			if rec.Status == voice.RecordingCompleted && !rec.StartedAt.IsZero() {
				debt += rec.EndedAt.Sub(rec.StartedAt)
			}
		}
		ch <- prometheus.MustNewConstMetric(debtDesc(), prometheus.GaugeValue, debt.Seconds())
		return nil
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(recordingsDesc(), err)
	}
}
