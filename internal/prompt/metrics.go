package prompt

import "github.com/prometheus/client_golang/prometheus"

// Where a prompt comes from.
const (
	fromWeb    = "web"
	fromUpload = "upload"
	fromSpeech = "speech"
)

type metrics struct {
	made *prometheus.CounterVec
	hits prometheus.Counter
}

func newMetrics(r prometheus.Registerer, size func() int64) *metrics {
	m := &metrics{
		made: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_prompt_made_total", Help: "Prompts that were asked for, by where they come from and how it went.",
		}, []string{"from", "result"}),
		hits: prometheus.NewCounter(prometheus.CounterOpts{Name: "tapedeck_prompt_cache_hits_total", Help: "Prompts that were in the cache."}),
	}
	if r != nil {
		r.MustRegister(m.made, m.hits, prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "tapedeck_prompt_cache_bytes", Help: "Bytes of prompts in the cache."},
			func() float64 { return float64(size()) }))
	}
	return m
}

func (m *metrics) ended(from string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.made.WithLabelValues(from, result).Inc()
}

func (m *metrics) hit() { m.hits.Inc() }
