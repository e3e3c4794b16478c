package sip

import "github.com/prometheus/client_golang/prometheus"

// Reasons for not taking a message, as they stand in tapedeck_sip_rejected_total.
const (
	rejectMalformed = "malformed"      // cannot be read, or lacks what every message has
	rejectOversize  = "oversize"       // more than Options.MaxMessage
	rejectVersion   = "version"        // not SIP/2.0
	rejectMethod    = "method"         // unknown, or not for us
	rejectUnknown   = "unknown_dialog" // in-dialog request, CANCEL or ACK of no dialog
	rejectStray     = "stray_response" // response to nothing that we asked
	rejectMerged    = "merged"         // the same request by another path
	rejectExtension = "extension"      // Require or body that we do not speak
	rejectOrder     = "order"          // CSeq behind, or another request in the way
	rejectDraining  = "draining"
	rejectFlood     = "flood" // a dialog's mailbox, or the table of connections, is full
)

type metrics struct {
	messages    *prometheus.CounterVec // direction, transport
	rejected    *prometheus.CounterVec // reason
	invites     *prometheus.CounterVec // direction
	ended       *prometheus.CounterVec // direction, by, code class
	retransmits *prometheus.CounterVec // direction
	panics      prometheus.Counter
	dialogs     prometheus.Gauge
	connections prometheus.Gauge

	inUDP, inTCP, outUDP, outTCP prometheus.Counter // looked up once
	again, repeated              prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tapedeck", Subsystem: "sip", Name: name, Help: help}, labels)
	}
	m := &metrics{
		messages:    vec("messages_total", "SIP messages by direction and transport.", "direction", "transport"),
		rejected:    vec("rejected_total", "SIP messages that were dropped or answered with an error, by reason.", "reason"),
		invites:     vec("invites_total", "Initial INVITEs by direction.", "direction"),
		ended:       vec("dialogs_ended_total", "Dialogs that ended, by direction, by who ended them and by status class.", "direction", "by", "class"),
		retransmits: vec("retransmissions_total", "Messages sent again by us (out) and received again (in).", "direction"),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tapedeck", Subsystem: "sip", Name: "panics_total",
			Help: "Faults in the handling of a message; each took down its own dialog only."}),
		dialogs: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tapedeck", Subsystem: "sip", Name: "dialogs",
			Help: "Dialogs that have not ended."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tapedeck", Subsystem: "sip", Name: "tcp_connections",
			Help: "Open TCP connections."}),
	}
	m.inUDP, m.inTCP = m.messages.WithLabelValues("in", udp), m.messages.WithLabelValues("in", tcp)
	m.outUDP, m.outTCP = m.messages.WithLabelValues("out", udp), m.messages.WithLabelValues("out", tcp)
	m.again, m.repeated = m.retransmits.WithLabelValues("out"), m.retransmits.WithLabelValues("in")
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.messages, m.rejected, m.invites, m.ended, m.retransmits, m.panics, m.dialogs, m.connections} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) reject(reason string) { m.rejected.WithLabelValues(reason).Inc() }

func (m *metrics) received(network string) {
	if network == tcp {
		m.inTCP.Inc()
		return
	}
	m.inUDP.Inc()
}

func (m *metrics) sent(network string) {
	if network == tcp {
		m.outTCP.Inc()
		return
	}
	m.outUDP.Inc()
}
