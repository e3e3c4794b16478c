package sip

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// Methods that we write and compare with.
const (
	methodInvite  = "INVITE"
	methodAck     = "ACK"
	methodBye     = "BYE"
	methodCancel  = "CANCEL"
	methodOptions = "OPTIONS"
	methodUpdate  = "UPDATE"
	methodPrack   = "PRACK"
	methodInfo    = "INFO"
)

// What we speak, as it stands in Allow, Supported and Accept.
const (
	allowLine     = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO"
	supportedLine = "Supported: timer, 100rel"
	acceptLine    = "Accept: application/sdp"
	sdpType       = "application/sdp"
)

// cookie begins every branch of RFC 3261 (§8.1.1.7).
const cookie = "z9hG4bK"

// text writes a message line by line.
type text struct{ bytes.Buffer }

func (t *text) line(parts ...string) {
	for _, p := range parts {
		t.WriteString(p)
	}
	t.WriteString("\r\n")
}

// body ends the message.
func (t *text) body(kind string, b []byte) []byte {
	if len(b) > 0 {
		t.line("Content-Type: ", kind)
	}
	t.line("Content-Length: ", strconv.Itoa(len(b)))
	t.line()
	t.Write(b)
	return t.Bytes()
}

// reply is a response to write.
type reply struct {
	code   int
	reason string
	tag    string // for the To header when the request has none
	lines  []string
	sdp    []byte
}

// response writes a response to a request (RFC 3261 §8.2.6). Record-Route goes back in
// those that make a dialog (§12.1.1).
func (a *Agent) response(req *gosip.Request, from flow, r reply) []byte {
	var t text
	t.Grow(512 + len(r.sdp))
	t.line("SIP/2.0 ", strconv.Itoa(r.code), " ", r.reason)
	first := true
	for _, h := range req.Headers() {
		via, ok := h.(*gosip.ViaHeader)
		if !ok {
			continue
		}
		if first {
			t.line("Via: ", stampVia(via, from.at))
			first = false
			continue
		}
		t.line("Via: ", via.Value())
	}
	if r.code > 100 && r.code < 300 {
		for _, h := range req.Headers() {
			if rr, ok := h.(*gosip.RecordRouteHeader); ok {
				t.line("Record-Route: ", rr.Value())
			}
		}
	}
	// As they came: they are copied even from a request that is answered because one of
	// them cannot be read.
	t.line("From: ", oneLine(value(req, "from", "f")))
	to := oneLine(value(req, "to", "t"))
	if r.tag != "" && r.code > 100 && !hasTag(req, to) {
		to += ";tag=" + r.tag
	}
	t.line("To: ", to)
	t.line("Call-ID: ", oneLine(value(req, "call-id", "i")))
	t.line("CSeq: ", strings.Join(strings.Fields(value(req, "cseq")), " "))
	if r.code == 100 {
		if ts := value(req, "timestamp"); ts != "" {
			t.line("Timestamp: ", ts) // RFC 3261 §8.2.6.1
		}
	}
	for _, l := range r.lines {
		if l != "" {
			t.line(l)
		}
	}
	t.line("Server: ", a.o.UserAgent)
	return t.body(sdpType, r.sdp)
}

func hasTag(req *gosip.Request, to string) bool {
	if h := req.To(); h != nil {
		_, ok := lookup(h.Params, "tag")
		return ok
	}
	return strings.Contains(strings.ToLower(to), ";tag=")
}

// oneLine guards against a header value that would end its line early.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

// stampVia is the top Via with where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).
func stampVia(v *gosip.ViaHeader, source netip.AddrPort) string {
	via := v.Clone()
	rport, asked := lookup(via.Params, "rport")
	asked = asked && rport == ""
	host := strings.Trim(via.Host, "[]")
	if asked || host != source.Addr().String() {
		setParam(&via.Params, "received", source.Addr().String())
	}
	if asked {
		setParam(&via.Params, "rport", strconv.Itoa(int(source.Port())))
	}
	return via.Value()
}

func setParam(p *gosip.HeaderParams, name, value string) {
	for i, kv := range *p {
		if strings.EqualFold(strings.TrimSpace(kv.K), name) {
			(*p)[i].V = value
			return
		}
	}
	p.Add(name, value)
}

// replyTo is where the response to a request goes (RFC 3261 §18.2.2, RFC 3581 §4).
func replyTo(v *gosip.ViaHeader, from flow) flow {
	if from.network == tcp {
		return from
	}
	if rport, ok := lookup(v.Params, "rport"); ok && rport == "" {
		return from
	}
	port := uint16(5060)
	if v.Port > 0 && v.Port < 1<<16 {
		port = uint16(v.Port)
	}
	return flow{network: udp, at: netip.AddrPortFrom(from.at.Addr(), port)}
}

// hostPort writes an address as it stands in a URI or Via.
func hostPort(a netip.AddrPort) string {
	return net.JoinHostPort(a.Addr().String(), strconv.Itoa(int(a.Port())))
}

func upper(network string) string {
	if network == tcp {
		return "TCP"
	}
	return "UDP"
}
