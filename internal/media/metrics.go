package media

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics collects the counters of all workers on scrape. Workers count in plain
// fields of their own; nothing is shared between them per packet.
type metrics struct {
	engine *Engine
	list   []metric
}

// metric is one exported number and where it comes from.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*totals) uint64
	label string // of desc's only label; empty = none
}

// totals are the numbers of one or more workers.
type totals struct {
	Stats
	legs, refused, faults uint64
}

func newMetrics(e *Engine, registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{engine: e}
	plain := func(name, help string, kind prometheus.ValueType, value func(*totals) uint64) {
		m.list = append(m.list, metric{desc: prometheus.NewDesc("tapedeck_media_"+name, help, nil, nil), kind: kind, value: value})
	}
	plain("legs", "Legs that are open.", prometheus.GaugeValue, func(t *totals) uint64 { return t.legs })
	plain("packets_received_total", "RTP packets received from peers, without duplicates.", prometheus.CounterValue, func(t *totals) uint64 { return t.Received })
	plain("octets_received_total", "Payload octets of them.", prometheus.CounterValue, func(t *totals) uint64 { return t.ReceivedOctets })
	plain("packets_sent_total", "RTP packets sent.", prometheus.CounterValue, func(t *totals) uint64 { return t.Sent })
	plain("octets_sent_total", "Payload octets of them.", prometheus.CounterValue, func(t *totals) uint64 { return t.SentOctets })
	plain("packets_late_total", "RTP packets that came after a later one.", prometheus.CounterValue, func(t *totals) uint64 { return t.Late })
	plain("packets_lost", "RTP packets that peers sent and that did not come; a late one lowers it again.", prometheus.GaugeValue, func(t *totals) uint64 { return t.Lost })
	plain("packets_transcoded_total", "RTP packets made of audio that could not be relayed as it came.", prometheus.CounterValue, func(t *totals) uint64 { return t.Transcoded })
	plain("concealed_milliseconds_total", "Audio that was lost, or too late to be heard, in bridges that transcode.", prometheus.CounterValue, func(t *totals) uint64 { return uint64(t.Concealed.Milliseconds()) })
	plain("packets_missed_total", "RTP packets that came too late to be heard in bridges that transcode.", prometheus.CounterValue, func(t *totals) uint64 { return t.Missed })
	plain("faults_total", "Panics caught in workers.", prometheus.CounterValue, func(t *totals) uint64 { return t.faults })

	dropped := prometheus.NewDesc("tapedeck_media_packets_dropped_total", "Datagrams that were not passed on, by reason.", []string{"reason"}, nil)
	for reason, value := range map[string]func(*totals) uint64{
		"foreign":         func(t *totals) uint64 { return t.Foreign },
		"malformed":       func(t *totals) uint64 { return t.Malformed },
		"unknown-payload": func(t *totals) uint64 { return t.Unknown },
		"duplicate":       func(t *totals) uint64 { return t.Duplicate },
		"receive-buffer":  func(t *totals) uint64 { return t.Overflow },
		"send-refused":    func(t *totals) uint64 { return t.refused },
		"not-sendable":    func(t *totals) uint64 { return t.Unsent },
	} {
		m.list = append(m.list, metric{desc: dropped, kind: prometheus.CounterValue, value: value, label: reason})
	}
	if registerer != nil {
		if err := registerer.Register(m); err != nil {
			return nil, fmt.Errorf("media: register metrics: %w", err)
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for i := range m.list {
		out <- m.list[i].desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	t := m.engine.totals()
	for i := range m.list {
		var labels []string
		if m.list[i].label != "" {
			labels = []string{m.list[i].label}
		}
		out <- prometheus.MustNewConstMetric(m.list[i].desc, m.list[i].kind, float64(m.list[i].value(&t)), labels...)
	}
}

// totals asks every worker.
func (e *Engine) totals() totals {
	var sum totals
	if !e.hasStarted() {
		return sum
	}
	for _, w := range e.workers {
		var t totals
		if err := w.do(func(w *worker) error { t = w.totals(); return nil }); err != nil {
			t = w.totals() // it has ended and touches nothing any more
		}
		sum.Stats.add(&t.Stats)
		sum.legs += t.legs
		sum.refused += t.refused
		sum.faults += t.faults
	}
	return sum
}

func (w *worker) totals() totals {
	t := totals{Stats: w.gone, legs: uint64(len(w.legs)), refused: w.refused, faults: w.faults}
	for l := range w.legs {
		s := l.stats()
		t.Stats.add(&s)
	}
	return t
}
