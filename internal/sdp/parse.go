package sdp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/codec"
)

// Limits of what we read. Real offers have a handful of lines in each respect.
const (
	maxBytes = 64 << 10
	maxMedia = 32
	maxLines = 2000
)

// description is what we keep of a description: RFC 8866 §5, cut to what audio needs.
type description struct {
	origin netip.Addr // of the o= line, when it is an address
	media  []media
}

// media is one m= line with what follows it, session-level values filled in.
type media struct {
	kind      string
	port      int
	proto     string
	formats   []string
	conn      netip.Addr // unspecified = hold of RFC 2543; invalid = none or a host name
	hasConn   bool       // there is a c= line for it, whatever it holds
	direction Direction
	maps      map[uint8]rtpmap
	fmtp      map[uint8]string
	ptime     time.Duration // 0 = not given
	maxPtime  time.Duration
	rtcpPort  int // 0 = not given
	rtcpAddr  netip.Addr
	mux       bool
}

type rtpmap struct {
	name            string
	clock, channels int
}

// parse reads a description. It takes what real peers send: lines out of order, LF
// instead of CRLF, lines missing that the grammar demands, unknown media and
// transports. (pion/sdp, with which we write, refuses m=image, udptl and any line out
// of order, so it cannot read for us.)
func parse(b []byte) (*description, error) {
	if len(b) > maxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrMalformed, len(b), maxBytes)
	}
	p := parser{}
	lines := 0
	for len(b) > 0 {
		var line string
		line, b = cutLine(b)
		if line == "" {
			continue
		}
		if lines++; lines > maxLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrMalformed, maxLines)
		}
		if len(line) < 2 || line[1] != '=' {
			return nil, fmt.Errorf("%w: line %d is not a type=value line: %.40q", ErrMalformed, lines, line)
		}
		if lines == 1 && line[0] != 'v' {
			return nil, fmt.Errorf("%w: it begins with %.40q instead of v=0", ErrMalformed, line)
		}
		if err := p.line(line[0], strings.TrimSpace(line[2:])); err != nil {
			return nil, err
		}
	}
	if lines == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	return &p.d, nil
}

// cutLine takes one line off b: it ends with CRLF, LF or CR.
func cutLine(b []byte) (string, []byte) {
	for i, c := range b {
		if c != '\r' && c != '\n' {
			continue
		}
		rest := b[i+1:]
		if c == '\r' && len(rest) > 0 && rest[0] == '\n' {
			rest = rest[1:]
		}
		return string(b[:i]), rest
	}
	return string(b), nil
}

// parser carries the session-level values that media sections begin with.
type parser struct {
	d         description
	conn      netip.Addr
	hasConn   bool
	direction Direction
	ptime     time.Duration
}

func (p *parser) line(kind byte, value string) error {
	switch kind {
	case 'v':
		if value != "0" {
			return fmt.Errorf("%w: version %.10q is not 0", ErrMalformed, value)
		}
	case 'o':
		p.d.origin = lastAddr(value)
	case 'c':
		return p.connection(value)
	case 'm':
		return p.mediaLine(value)
	case 'a':
		key, v, _ := strings.Cut(value, ":")
		p.attribute(strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(v))
	}
	return nil
}

func (p *parser) current() *media {
	if len(p.d.media) == 0 {
		return nil
	}
	return &p.d.media[len(p.d.media)-1]
}

// connection reads c=IN IP4 192.0.2.1[/ttl]. A host name is legal and gives no address.
func (p *parser) connection(value string) error {
	f := strings.Fields(value)
	if len(f) != 3 || !strings.EqualFold(f[0], "IN") {
		return fmt.Errorf("%w: cannot read c=%.60s", ErrMalformed, value)
	}
	addr := lastAddr(value)
	if m := p.current(); m != nil {
		m.conn, m.hasConn = addr, true
		return nil
	}
	p.conn, p.hasConn = addr, true
	return nil
}

// lastAddr is the address that ends an o= or c= line; invalid when it is a host name.
func lastAddr(value string) netip.Addr {
	text := value[strings.LastIndexByte(value, ' ')+1:]
	text, _, _ = strings.Cut(text, "/") // the TTL of a multicast address
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// mediaLine reads m=<media> <port>[/<number>] <proto> <fmt> … (RFC 8866 §5.14).
func (p *parser) mediaLine(value string) error {
	if len(p.d.media) == maxMedia {
		return fmt.Errorf("%w: more than %d m= lines", ErrMalformed, maxMedia)
	}
	f := strings.Fields(value)
	if len(f) < 4 {
		return fmt.Errorf("%w: m=%.60s has no port, transport or format", ErrMalformed, value)
	}
	port, _, _ := strings.Cut(f[1], "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: port of m=%.60s", ErrMalformed, value)
	}
	p.d.media = append(p.d.media, media{
		kind: strings.ToLower(f[0]), port: int(n), proto: f[2], formats: f[3:],
		conn: p.conn, hasConn: p.hasConn, direction: p.direction, ptime: p.ptime,
	})
	return nil
}

func (p *parser) attribute(key, value string) {
	m := p.current()
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		d := directionNamed(key)
		if m == nil {
			p.direction = d
			return
		}
		m.direction = d
		return
	case "ptime":
		t := milliseconds(value)
		if m == nil {
			p.ptime = t
			return
		}
		m.ptime = t
		return
	}
	if m != nil {
		m.attribute(key, value)
	}
}

func (m *media) attribute(key, value string) {
	switch key {
	case "rtpmap":
		if pt, r, ok := readMap(value); ok {
			if m.maps == nil {
				m.maps = make(map[uint8]rtpmap)
			}
			m.maps[pt] = r
		}
	case "fmtp":
		number, params, _ := strings.Cut(value, " ")
		if pt, ok := payloadType(number); ok {
			if m.fmtp == nil {
				m.fmtp = make(map[uint8]string)
			}
			m.fmtp[pt] = strings.TrimSpace(params)
		}
	case "maxptime":
		m.maxPtime = milliseconds(value)
	case "rtcp-mux":
		m.mux = true
	case "rtcp": // RFC 3605 §2.1
		f := strings.Fields(value)
		if len(f) == 0 {
			return
		}
		if n, err := strconv.ParseUint(f[0], 10, 16); err == nil {
			m.rtcpPort = int(n)
		}
		if len(f) == 4 {
			m.rtcpAddr = lastAddr(value)
		}
	}
}

func directionNamed(name string) Direction {
	switch name {
	case "sendonly":
		return SendOnly
	case "recvonly":
		return RecvOnly
	case "inactive":
		return Inactive
	}
	return SendRecv
}

// milliseconds reads a=ptime; some peers write "20.0". Anything senseless is 0.
func milliseconds(value string) time.Duration {
	value, _, _ = strings.Cut(value, ".")
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func payloadType(s string) (uint8, bool) {
	n, err := strconv.ParseUint(s, 10, 7) // RFC 3550 §5.1: seven bits
	return uint8(n), err == nil
}

// readMap reads a=rtpmap:<pt> <name>/<clock>[/<channels>] (RFC 8866 §6.6).
func readMap(value string) (uint8, rtpmap, bool) {
	number, rest, ok := strings.Cut(value, " ")
	pt, isPT := payloadType(number)
	if !ok || !isPT {
		return 0, rtpmap{}, false
	}
	parts := strings.Split(strings.TrimSpace(rest), "/")
	if len(parts) < 2 || parts[0] == "" {
		return 0, rtpmap{}, false
	}
	clock, err := strconv.ParseUint(parts[1], 10, 31)
	if err != nil || clock == 0 {
		return 0, rtpmap{}, false
	}
	r := rtpmap{name: parts[0], clock: int(clock), channels: 1}
	if len(parts) > 2 {
		n, err := strconv.ParseUint(parts[2], 10, 8)
		if err != nil || n == 0 {
			return 0, rtpmap{}, false
		}
		r.channels = int(n)
	}
	return pt, r, true
}

// formatAt resolves a payload type: by rtpmap, or else by the static table of
// RFC 3551 §6, which an rtpmap need not repeat.
func (m *media) formatAt(pt uint8) (rtpmap, bool) {
	if r, ok := m.maps[pt]; ok {
		return r, true
	}
	i, ok := codec.LookupStatic(pt)
	return rtpmap{name: i.Name, clock: i.ClockRate, channels: i.Channels}, ok
}

// is tells whether the format on the wire is this codec.
func (r rtpmap) is(i codec.Info) bool {
	return i.Is(r.name) && r.clock == i.ClockRate && r.channels == max(i.Channels, 1)
}

// plainRTP tells whether we speak the stream's transport. RTP/AVPF differs from
// RTP/AVP only in when RTCP may be sent (RFC 4585 §3.5), which we may ignore.
func (m *media) plainRTP() bool {
	return strings.EqualFold(m.proto, "RTP/AVP") || strings.EqualFold(m.proto, "RTP/AVPF")
}

func (m *media) audio() bool { return m.kind == "audio" }
