package sdp

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tapedeck/internal/codec"
)

// Bounds of the packet time that we send with.
const (
	defaultPtime = 20 * time.Millisecond
	minPtime     = 10 * time.Millisecond
	maxPtime     = 60 * time.Millisecond
)

// Negotiator keeps our side of one leg's offer/answer state: codecs and their payload
// types, the o= line, the m= lines agreed so far. One goroutine at a time may use it.
type Negotiator struct {
	o       Options
	codecs  []codec.Info // in the order that we offer
	session uint64       // o= id
	version uint64       // o= version of the last description sent

	body  []byte // last description sent
	plain string // the same without its version, to see whether the next one differs
	local local  // what body says
	base  local  // what stood before the open offer
	open  bool   // body is an offer that waits for its answer

	lines  []line // m= lines of the session; nil before the first description
	audio  int    // which of them is ours
	remote bool   // an exchange was finished before
	held   bool   // outcome of the last exchange
	send   codec.Info
	pinned bool // Prefer was called after the last exchange
	prefer []string
}

// local is one description of ours, as far as a later answer refers to it.
type local struct {
	codecs    []Codec // with the payload types that the peer sends with
	direction Direction
	mux       bool
}

// line is one m= line of the session; all but ours have port 0.
type line struct {
	kind, proto string
	formats     []string
}

// New returns a Negotiator for one leg.
func New(o Options) *Negotiator {
	if o.Ptime == 0 {
		o.Ptime = defaultPtime
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &Negotiator{
		o:      o,
		codecs: slices.Clone(o.Codecs),
		// RFC 8866 §5.2: numeric; 62 bits, because some peers read it as signed.
		session: binary.BigEndian.Uint64(b[:]) >> 2,
		version: 1,
	}
}

// SetCodecs replaces the codecs that our next offer or answer names.
func (n *Negotiator) SetCodecs(codecs []codec.Info) {
	n.codecs = slices.Clone(codecs)
	n.pinned = true
}

// Prefer puts the named codecs, in this order, before all others: in our offers, and in
// our answers where the peer offers them. Names are compared without regard to case;
// unknown ones are ignored.
func (n *Negotiator) Prefer(names ...string) {
	n.prefer = slices.Clone(names)
	n.pinned = true
	slices.SortStableFunc(n.codecs, func(a, b codec.Info) int { return n.rank(a) - n.rank(b) })
}

// rank is a codec's place among the preferred ones; those that are not come after.
func (n *Negotiator) rank(i codec.Info) int {
	for at, name := range n.prefer {
		if i.Is(name) {
			return at
		}
	}
	return len(n.prefer)
}

// Local returns the last description of ours that was sent; nil before the first.
func (n *Negotiator) Local() []byte { return slices.Clone(n.body) }

// Offer writes our first or a new offer with the given direction of ours
// (RFC 3264 §5, §8). A new offer lists all our codecs, the one in use first. The caller
// sends it, and gives the answer to Accept, or calls Withdraw.
func (n *Negotiator) Offer(d Direction) ([]byte, error) {
	if len(n.codecs) == 0 {
		return nil, fmt.Errorf("sdp: cannot make an offer: %w", ErrNoCommonCodec)
	}
	if !n.open {
		n.base = n.local
	}
	if n.lines == nil {
		n.lines, n.audio = []line{{kind: "audio", proto: "RTP/AVP"}}, 0
	}
	codecs, mux := n.offered(), n.local.mux // only a peer that asked for mux is offered it
	body, err := n.write(codecs, d, mux)
	if err != nil {
		return nil, err
	}
	n.local = local{codecs: codecs, direction: d, mux: mux}
	n.open = true
	return body, nil
}

// Withdraw forgets the open offer: the peer refused it, and what was agreed before
// still stands (RFC 3264 §8). Without an open offer it does nothing.
func (n *Negotiator) Withdraw() {
	if n.open {
		n.local, n.open = n.base, false
	}
}

// offered lists our codecs with payload types. A type that the session has used keeps
// its meaning, and a codec keeps its type (RFC 3264 §8.3.2).
func (n *Negotiator) offered() []Codec {
	order := slices.Clone(n.codecs)
	if n.remote && !n.pinned {
		slices.SortStableFunc(order, func(a, b codec.Info) int {
			return place(a == n.send) - place(b == n.send)
		})
	}
	var used [128]bool
	for _, c := range n.local.codecs {
		used[c.PT&127] = true
	}
	codecs := make([]Codec, 0, len(order))
	for _, i := range order {
		if at := slices.IndexFunc(n.local.codecs, func(c Codec) bool { return c.Info == i }); at >= 0 {
			codecs = append(codecs, Codec{Info: i, PT: n.local.codecs[at].PT})
			continue
		}
		pt := i.PT & 127
		for next := uint8(96); used[pt] && next < 128; next++ {
			pt = next
		}
		used[pt] = true
		codecs = append(codecs, Codec{Info: i, PT: pt})
	}
	return codecs
}

func place(first bool) int {
	if first {
		return 0
	}
	return 1
}

// Accept takes the peer's answer to our open offer. When none is open, the answer is
// taken as one to our last description: the peer answered a session refresh, which
// repeats it (RFC 4028 §7.4).
func (n *Negotiator) Accept(answer []byte) (Negotiated, error) {
	if n.body == nil {
		return Negotiated{}, fmt.Errorf("sdp: cannot take an answer: %w", ErrState)
	}
	d, err := parse(answer)
	if err != nil {
		return Negotiated{}, err
	}
	// RFC 3264 §6: the answer has exactly as many m= lines as the offer.
	if len(d.media) != len(n.lines) {
		return Negotiated{}, fmt.Errorf("%w: the answer has %d m= lines, the offer had %d", ErrMalformed, len(d.media), len(n.lines))
	}
	m := &d.media[n.audio]
	if !m.audio() || !m.plainRTP() {
		return Negotiated{}, fmt.Errorf("%w: the answer to m=audio RTP/AVP is m=%s %s", ErrMalformed, m.kind, m.proto)
	}
	if m.port == 0 {
		return Negotiated{}, ErrRefused
	}
	out := Negotiated{Direction: n.local.direction.Intersect(m.peerDirection().Reverse())}
	sent := n.answered(m)
	if !out.pick(sent) {
		return Negotiated{}, fmt.Errorf("%w: the answer has %v", ErrNoCommonCodec, m.formats)
	}
	out.Receive = n.receivable(sent)
	m.mux = m.mux && n.local.mux // RFC 5761 §5.1.1: only what was offered counts
	if err := n.address(&out, d, m); err != nil {
		return Negotiated{}, err
	}
	// Not wanting to hear us is a hold only when we wanted to be heard; an answer to an
	// offer of ours that does not send says nothing new.
	out.Held = !m.peerDirection().Receives() && (n.local.direction.Sends() || n.held)
	n.finish(out)
	return out, nil
}

// answered lists the codecs of an answer that we offered, with the types that we send
// with, in the answer's order.
func (n *Negotiator) answered(m *media) []Codec {
	var sent []Codec
	for _, f := range m.formats {
		pt, ok := payloadType(f)
		if !ok {
			continue
		}
		var at int
		if r, known := m.formatAt(pt); known {
			at = slices.IndexFunc(n.local.codecs, func(c Codec) bool { return r.is(c.Info) })
		} else {
			// A dynamic type without rtpmap can only mean what our offer said.
			at = slices.IndexFunc(n.local.codecs, func(c Codec) bool { return c.PT == pt })
		}
		if at >= 0 {
			sent = append(sent, Codec{Info: n.local.codecs[at].Info, PT: pt, Fmtp: m.fmtp[pt]})
		}
	}
	return sent
}

// receivable lists what the peer may send after its answer: the codecs of the answer
// with our types, and with the peer's own types too where they mean nothing else,
// because some peers send with the type that they wrote.
func (n *Negotiator) receivable(sent []Codec) []Codec {
	var out []Codec
	ours := n.local.codecs
	for _, s := range sent {
		at := slices.IndexFunc(ours, func(c Codec) bool { return c.Info == s.Info })
		c := Codec{Info: s.Info, PT: ours[at].PT, Fmtp: s.Fmtp}
		if !slices.ContainsFunc(out, func(o Codec) bool { return o.PT == c.PT }) {
			out = append(out, c)
		}
	}
	for _, s := range sent {
		has := func(c Codec) bool { return c.PT == s.PT }
		if !slices.ContainsFunc(ours, has) && !slices.ContainsFunc(out, has) {
			out = append(out, s)
		}
	}
	return out
}

// Answer takes an offer and writes our answer to it, with at most the direction that
// we want (RFC 3264 §6.1, §8.4). When it fails nothing changes, so that the peer's
// offer can be refused and the session goes on. An open offer of ours is withdrawn.
func (n *Negotiator) Answer(offer []byte, want Direction) (answer []byte, _ Negotiated, err error) {
	d, err := parse(offer)
	if err != nil {
		return nil, Negotiated{}, err
	}
	// RFC 3264 §8: m= lines are never taken away.
	if len(d.media) == 0 || len(d.media) < len(n.lines) && n.remote {
		return nil, Negotiated{}, fmt.Errorf("%w: the offer has %d m= lines, the session has %d", ErrMalformed, len(d.media), len(n.lines))
	}
	at, common := n.choose(d)
	if at < 0 {
		return nil, Negotiated{}, fmt.Errorf("%w: the offer has %s", ErrNoCommonCodec, d.summary())
	}
	m := &d.media[at]
	out := Negotiated{Direction: want.Intersect(m.peerDirection().Reverse())}
	if m.port == 0 {
		return n.disabled(d, at)
	}
	out.pick(common)
	out.Receive = common
	if err := n.address(&out, d, m); err != nil {
		return nil, Negotiated{}, err
	}
	out.Held = !m.peerDirection().Receives()
	n.Withdraw()
	n.keepLines(d, at)
	body, err := n.write(common, out.Direction, m.mux)
	if err != nil {
		return nil, Negotiated{}, err
	}
	n.local = local{codecs: common, direction: out.Direction, mux: m.mux}
	n.finish(out)
	return body, out, nil
}

// choose finds the stream to accept: the one that the session has, else the first audio
// stream on plain RTP with a codec in common. -1 means none.
func (n *Negotiator) choose(d *description) (int, []Codec) {
	if n.remote {
		m := &d.media[n.audio]
		if m.audio() && m.plainRTP() {
			if m.port == 0 {
				return n.audio, nil
			}
			if common := n.common(m); hasAudio(common) {
				return n.audio, common
			}
		}
	}
	for i := range d.media {
		m := &d.media[i]
		if !m.audio() || !m.plainRTP() || m.port == 0 {
			continue
		}
		if common := n.common(m); hasAudio(common) {
			return i, common
		}
	}
	return -1, nil
}

func hasAudio(codecs []Codec) bool {
	return slices.ContainsFunc(codecs, func(c Codec) bool { return c.Audio() })
}

// known finds the format of ours that is meant.
func (n *Negotiator) known(r rtpmap) (codec.Info, bool) {
	for _, list := range [][]codec.Info{n.codecs, n.o.Accepts} {
		if at := slices.IndexFunc(list, func(i codec.Info) bool { return r.is(i) }); at >= 0 {
			return list[at], true
		}
	}
	return codec.Info{}, false
}

// common lists the codecs of an offer that we have, with the offer's payload types and
// in its order (RFC 3264 §6.1: RECOMMENDED both), preferred ones first.
func (n *Negotiator) common(m *media) []Codec {
	var out []Codec
	for _, f := range m.formats {
		pt, ok := payloadType(f)
		if !ok || slices.ContainsFunc(out, func(c Codec) bool { return c.PT == pt }) {
			continue
		}
		r, ok := m.formatAt(pt)
		if !ok {
			continue
		}
		i, ok := n.known(r)
		if !ok || slices.ContainsFunc(out, func(c Codec) bool { return c.Info == i }) {
			continue
		}
		out = append(out, Codec{Info: i, PT: pt, Fmtp: m.fmtp[pt]})
	}
	slices.SortStableFunc(out, func(a, b Codec) int { return n.rank(a.Info) - n.rank(b.Info) })
	return out
}

// disabled answers an offer that switches our stream off (port 0, RFC 3264 §8.2).
func (n *Negotiator) disabled(d *description, at int) ([]byte, Negotiated, error) {
	n.Withdraw()
	n.keepLines(d, at)
	body, err := n.write(nil, Inactive, false)
	if err != nil {
		return nil, Negotiated{}, err
	}
	out := Negotiated{Ptime: n.o.Ptime, Direction: Inactive, Held: true}
	n.local.direction = Inactive
	n.held, n.remote = true, true
	return body, out, nil
}

func (n *Negotiator) keepLines(d *description, at int) {
	n.lines = make([]line, len(d.media))
	for i, m := range d.media {
		n.lines[i] = line{kind: m.kind, proto: m.proto, formats: m.formats}
	}
	n.audio = at
}

func (n *Negotiator) finish(out Negotiated) {
	n.open, n.remote, n.pinned = false, true, false
	n.held = out.Held
	n.send = out.Send.Info
}

// pick chooses what we send with: the first audio codec, and the telephone-event of the
// same clock (RFC 4733 §2.1), or of another when there is no such.
func (out *Negotiated) pick(codecs []Codec) bool {
	at := slices.IndexFunc(codecs, func(c Codec) bool { return c.Audio() })
	if at < 0 {
		return false
	}
	out.Send = codecs[at]
	for _, c := range codecs {
		if !c.Is(codec.Event) {
			continue
		}
		if out.Event == nil || c.ClockRate == out.Send.ClockRate && out.Event.ClockRate != c.ClockRate {
			out.Event = &c
		}
	}
	return true
}

// peerDirection is the stream's direction as the peer sees it. c=0.0.0.0 is the hold of
// RFC 2543: the peer does not receive (RFC 3264 §8.4).
func (m *media) peerDirection() Direction {
	if m.hasConn && m.conn.IsValid() && m.conn.IsUnspecified() {
		return m.direction.Intersect(SendOnly)
	}
	return m.direction
}

// address fills in where we send and how.
func (n *Negotiator) address(out *Negotiated, d *description, m *media) error {
	host := m.conn
	if !m.hasConn {
		// RFC 8866 §5.7 demands a c= line. Peers that forget it mean the o= address.
		if !d.origin.IsValid() {
			return fmt.Errorf("%w: no c= line", ErrMalformed)
		}
		host = d.origin
	}
	out.Ptime = n.ptime(m)
	out.RTCPMux = m.mux
	if !host.IsValid() || host.IsUnspecified() || m.port == 0 {
		return nil
	}
	if ours := n.o.Addr.Addr(); ours.IsValid() && ours.Unmap().Is4() != host.Unmap().Is4() {
		return fmt.Errorf("%w: %s from %s", ErrAddressFamily, host, ours)
	}
	out.Remote = netip.AddrPortFrom(host, uint16(m.port))
	switch {
	case m.mux:
		out.RemoteRTCP = out.Remote
	case m.rtcpPort != 0:
		if m.rtcpAddr.IsValid() && !m.rtcpAddr.IsUnspecified() {
			host = m.rtcpAddr
		}
		out.RemoteRTCP = netip.AddrPortFrom(host, uint16(m.rtcpPort))
	case m.port < 65535:
		out.RemoteRTCP = netip.AddrPortFrom(host, uint16(m.port+1)) // RFC 3550 §11
	}
	return nil
}

// ptime is the packet time the peer wants (RFC 8866 §6.4), within what we can do.
func (n *Negotiator) ptime(m *media) time.Duration {
	t := m.ptime
	if t == 0 {
		t = n.o.Ptime
	}
	if m.maxPtime > 0 && t > m.maxPtime {
		t = m.maxPtime
	}
	t = t.Truncate(minPtime)
	return min(max(t, minPtime), maxPtime)
}
