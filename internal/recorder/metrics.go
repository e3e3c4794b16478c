package recorder

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	packets, written, lost, writeErrors, failed prometheus.Counter
	flush, sync                                 prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, r *Recorder) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tapedeck", Subsystem: "recorder", Name: name, Help: help})
	}
	gauge := func(name, help string, f func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tapedeck", Subsystem: "recorder", Name: name, Help: help}, f)
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "tapedeck", Subsystem: "recorder", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(10e-6, 4, 10), // 10 µs to 2.6 s
		})
	}
	m := &metrics{
		packets:     counter("packets_total", "Packets taken into blocks."),
		written:     counter("written_bytes_total", "Bytes of entries written to journals."),
		lost:        counter("lost_packets_total", "Packets that were not recorded because the disk was too slow."),
		writeErrors: counter("write_errors_total", "Writes, fsyncs and creations of journals that failed."),
		failed:      counter("failed_captures_total", "Captures given up because their journal could not be written."),
		flush:       histogram("flush_seconds", "Time to write one block."),
		sync:        histogram("sync_seconds", "Time to fsync all journals with something new."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.packets, m.written, m.lost, m.writeErrors, m.failed, m.flush, m.sync,
		gauge("captures", "Captures that are running or being closed.", func() float64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			return float64(len(r.captures))
		}),
		gauge("buffer_bytes", "Memory of blocks that are filling or wait for the disk.", func() float64 { return float64(r.used.Load()) }),
		gauge("disk_free_bytes", "Free space where journals are written.", func() float64 { return float64(r.free.Load()) }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
