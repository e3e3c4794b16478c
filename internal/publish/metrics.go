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
	made    *prometheus.CounterVec
	damaged prometheus.Counter
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
		made: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_publish_derived_total", Help: "Attempts at files beside the masters, by kind (format, peaks, again) and outcome.",
		}, []string{"kind", "outcome"}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_publish_damaged_files_total", Help: "Stored files that were not what was stored when their journals were to be deleted. The journals stay.",
		}),
	}
	if r != nil {
		r.MustRegister(m.renders, m.seconds, m.made, m.damaged, rows{db})
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

func queueDesc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_publish_queue", "Files that are to be made, by kind: master, format, peaks, again.", []string{"kind"}, nil)
}

func oldestDesc() *prometheus.Desc {
	return prometheus.NewDesc("tapedeck_publish_queue_oldest_seconds", "How long the oldest of the files that are to be made has waited; 0 when there is none.", nil, nil)
}

// Describe implements prometheus.Collector.
func (rows) Describe(ch chan<- *prometheus.Desc) {
	ch <- recordingsDesc()
	ch <- debtDesc()
	ch <- queueDesc()
	ch <- oldestDesc()
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
		waiting, err := tx.WaitingRenders()
		if err != nil {
			return err
		}
		queue(open, waiting, time.Now(), ch)
		return nil
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(recordingsDesc(), err)
	}
}

// queue says what is to be made.
func queue(open []voice.Recording, waiting []voice.Render, now time.Time, ch chan<- prometheus.Metric) {
	debt, oldest := time.Duration(0), time.Duration(0)
	counts := map[string]int{"master": 0}
	for _, kind := range []voice.RenderKind{voice.RenderFormat, voice.RenderPeaks, voice.RenderAgain} {
		counts[string(kind)] = 0
	}
	for _, rec := range open {
		if rec.Status != voice.RecordingCompleted {
			continue
		}
		counts["master"]++
		oldest = max(oldest, now.Sub(rec.EndedAt))
		if !rec.StartedAt.IsZero() {
			debt += rec.EndedAt.Sub(rec.StartedAt)
		}
	}
	for _, r := range waiting {
		counts[string(r.Kind)]++
		since := r.UpdatedAt // what is made of the master may be asked for anew
		if r.Kind == voice.RenderAgain {
			since = r.CreatedAt
		}
		oldest = max(oldest, now.Sub(since))
	}
	ch <- prometheus.MustNewConstMetric(debtDesc(), prometheus.GaugeValue, debt.Seconds())
	ch <- prometheus.MustNewConstMetric(oldestDesc(), prometheus.GaugeValue, oldest.Seconds())
	for kind, n := range counts {
		ch <- prometheus.MustNewConstMetric(queueDesc(), prometheus.GaugeValue, float64(n), kind)
	}
}
