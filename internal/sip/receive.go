package sip

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// receive takes one datagram.
func (a *Agent) receive(data []byte, from flow) {
	defer a.caught("a datagram from "+from.at.String(), nil)
	if len(bytes.Trim(data, "\r\n\x00")) == 0 {
		return // keep-alive (RFC 5626 §3.5.1)
	}
	a.m.received(udp)
	data = bytes.TrimLeft(data, "\r\n") // RFC 3261 §7.5: empty lines before the start line mean nothing
	if len(data) > a.o.MaxMessage {
		a.oversize(data, from)
		return
	}
	msg, err := a.parser.ParseSIP(data)
	if err != nil {
		if lenient, lerr := a.lenient(data); lerr == nil {
			msg = lenient
		}
		a.unreadable(msg, from, err)
		return
	}
	a.take(msg, from)
}

// next parses the next message of a stream. A fault of the parser is an error.
func (a *Agent) next(stream *gosip.ParserStream) (msg gosip.Message, err error) {
	defer a.caught("a stream", func() { msg, err = nil, errors.New("sip: fault of the parser") })
	msg, n, err := stream.ParseNext()
	if err == nil && n > a.o.MaxMessage {
		err = gosip.ErrMessageTooLarge
	}
	return msg, err
}

// lenient reads a message that cannot be read as it should, so that it can be answered
// with 400: a request line that makes no sense is replaced, and every header stays text
// until it is asked for.
func (a *Agent) lenient(data []byte) (gosip.Message, error) {
	p := gosip.NewParser(gosip.WithHeadersParsers(map[string]gosip.HeaderParser{}))
	msg, _, err := p.ParseHeaders(data, false)
	if err != nil && msg == nil {
		first, rest, _ := bytes.Cut(data, []byte("\r\n"))
		f := strings.Fields(string(first))
		if len(f) < 3 || !strings.HasPrefix(f[len(f)-1], "SIP/") {
			return nil, fmt.Errorf("sip: unreadable: %w", err)
		}
		line := f[0] + " sip:unreadable SIP/2.0\r\n"
		msg, _, err = p.ParseHeaders(append([]byte(line), rest...), false)
	}
	if err != nil {
		return nil, fmt.Errorf("sip: unreadable: %w", err)
	}
	if req, ok := msg.(*gosip.Request); ok {
		if err := typedVias(req); err != nil {
			return nil, err
		}
	}
	return msg, nil
}

// typedVias makes Via headers of the text ones: an answer is built from them.
func typedVias(req *gosip.Request) error {
	parse := gosip.DefaultHeadersParser()["via"]
	var vias []gosip.Header
	for _, v := range splitList(values(req, "via", "v")) {
		h, err := parse([]byte("via"), v)
		if err != nil {
			return fmt.Errorf("sip: unreadable Via: %w", err)
		}
		vias = append(vias, h)
	}
	if len(vias) > 0 {
		req.PrependHeader(vias[1:]...)
		req.PrependHeader(vias[0]) // last, because the message takes this as its topmost
	}
	return nil
}

// unreadable counts a message that cannot be parsed; a request is answered with 400
// where enough of it is there (RFC 3261 §8.2, §18.3), a response is dropped.
func (a *Agent) unreadable(msg gosip.Message, from flow, cause error) {
	reason, code, phrase := rejectMalformed, 400, "Bad Request"
	if errors.Is(cause, gosip.ErrMessageTooLarge) {
		reason, code, phrase = rejectOversize, 513, "Message Too Large"
	}
	a.m.reject(reason)
	a.log.Debug("sip: unreadable message", "from", from.at.String(), "error", cause)
	if req, ok := msg.(*gosip.Request); ok && req != nil && answerable(req) {
		a.stateless(req, from, reply{code: code, reason: phrase})
	}
}

// answerable: what an answer copies is there. An ACK is never answered (RFC 3261 §17).
func answerable(req *gosip.Request) bool {
	via := req.Via()
	return req.Method != methodAck && via != nil && via.Host != "" && value(req, "from", "f") != "" && value(req, "to", "t") != "" &&
		value(req, "call-id", "i") != "" && value(req, "cseq") != ""
}

// oversize refuses what is bigger than Options.MaxMessage (RFC 3261 §21.5.7).
func (a *Agent) oversize(data []byte, from flow) {
	msg, _, err := a.parser.ParseHeaders(data, false)
	if err != nil {
		msg = nil
	}
	a.unreadable(msg, from, gosip.ErrMessageTooLarge)
}

// take brings one parsed message to its dialog, or answers it without one.
func (a *Agent) take(msg gosip.Message, from flow) {
	defer a.caught("a message from "+from.at.String(), nil)
	switch m := msg.(type) {
	case *gosip.Request:
		a.takeRequest(m, from)
	case *gosip.Response:
		a.takeResponse(m, from)
	}
}

func (a *Agent) takeResponse(res *gosip.Response, from flow) {
	e, err := essentialsOf(res)
	if err != nil || res.StatusCode < 100 || res.StatusCode > 699 {
		a.m.reject(rejectMalformed)
		return
	}
	// RFC 3261 §18.1.2 and §8.1.3.3: exactly one Via, and it is ours. The branch, which
	// only we know, is looked at by the dialog.
	d := a.dialog(e.callID, e.fromTag)
	if d == nil || len(res.GetHeaders("via")) != 1 {
		a.m.reject(rejectStray)
		return
	}
	d.post(input{res: res, e: e, from: from})
}

func (a *Agent) takeRequest(req *gosip.Request, from flow) {
	e, err := essentialsOf(req)
	if err != nil {
		a.m.reject(rejectMalformed)
		a.log.Debug("sip: incomplete request", "from", from.at.String(), "error", err)
		if answerable(req) {
			a.stateless(req, from, reply{code: 400, reason: "Bad Request"})
		}
		return
	}
	method := string(req.Method)
	if bad := checkRequest(req, e); bad.code != 0 {
		a.m.reject(bad.why)
		if method != methodAck { // an ACK is never answered (RFC 3261 §17)
			a.stateless(req, from, bad.reply)
		}
		return
	}
	in := input{req: req, e: e, from: from}
	if e.toTag != "" {
		a.takeInDialog(in)
		return
	}
	switch method {
	case methodInvite:
		a.takeInvite(in)
	case methodCancel:
		if d := a.inviteOf(e); d != nil {
			d.post(in)
			return
		}
		a.refuseUnknown(in)
	case methodAck:
		a.m.reject(rejectUnknown)
	case methodOptions:
		a.stateless(req, from, a.capabilities())
	case methodBye, methodUpdate, methodPrack, methodInfo:
		a.refuseUnknown(in)
	case "REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH":
		a.m.reject(rejectMethod)
		a.stateless(req, from, reply{code: 405, reason: "Method Not Allowed", lines: []string{allowLine}})
	default:
		a.m.reject(rejectMethod)
		a.stateless(req, from, reply{code: 501, reason: "Not Implemented", lines: []string{allowLine}})
	}
}

// badRequest is why a request cannot be processed at all.
type badRequest struct {
	reply
	why string
}

// checkRequest looks at what is the same for every request (RFC 3261 §8.2).
func checkRequest(req *gosip.Request, e essentials) badRequest {
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return badRequest{reply{code: 505, reason: "Version Not Supported"}, rejectVersion}
	}
	if e.method != string(req.Method) && strings.EqualFold(e.method, string(req.Method)) {
		// The parser writes methods in capitals; only those that are written so are known
		// (RFC 3261 §7.1: case-sensitive).
		return badRequest{reply{code: 501, reason: "Not Implemented", lines: []string{allowLine}}, rejectMethod}
	}
	if e.method != string(req.Method) || e.fromTag == "" && e.branch == "" {
		return badRequest{reply{code: 400, reason: "CSeq Does Not Match"}, rejectMalformed}
	}
	switch strings.ToLower(req.Recipient.Scheme) {
	case "sip", "tel":
	default: // sips needs TLS all the way
		return badRequest{reply{code: 416, reason: "Unsupported URI Scheme"}, rejectExtension}
	}
	return badRequest{}
}

func (a *Agent) takeInDialog(in input) {
	if d := a.dialog(in.e.callID, in.e.toTag); d != nil {
		d.post(in)
		return
	}
	if in.req.Method == methodAck {
		a.m.reject(rejectUnknown)
		return
	}
	a.refuseUnknown(in)
}

func (a *Agent) refuseUnknown(in input) {
	a.m.reject(rejectUnknown)
	a.stateless(in.req, in.from, reply{code: 481, reason: "Call/Transaction Does Not Exist"})
}

// inviteKey finds the dialog of an inbound INVITE before it has a To tag.
func inviteKey(e essentials) string {
	return e.callID + "|" + e.fromTag + "|" + strconv.FormatUint(uint64(e.seq), 10)
}

func (a *Agent) inviteOf(e essentials) *Dialog {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.invites[inviteKey(e)]
}

// takeInvite gives an INVITE to its dialog, or makes one for it.
func (a *Agent) takeInvite(in input) {
	if d := a.inviteOf(in.e); d != nil {
		d.post(in) // retransmission, or the same request by another path
		return
	}
	if refused := a.screen(in); refused.code != 0 {
		a.m.reject(refused.why)
		a.stateless(in.req, in.from, refused.reply)
		return
	}
	d := newInbound(a, in)
	if !a.admit(d, in.e) {
		a.takeInvite(in) // somebody made it meanwhile, or the agent closes
		return
	}
	a.m.invites.WithLabelValues("in").Inc()
	d.post(in)
}

// admit puts a new inbound dialog into both tables; false when its INVITE has one
// already, or when no new ones are taken.
func (a *Agent) admit(d *Dialog, e essentials) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := inviteKey(e)
	if a.invites[key] != nil || a.closing {
		return false
	}
	d.inviteKey = key
	a.invites[key] = d
	a.dialogs[d.callID+"|"+d.tag] = d
	a.live++
	a.m.dialogs.Set(float64(a.live))
	return true
}

// screen refuses what needs no dialog to be refused (RFC 3261 §8.2.2, §8.2.3).
func (a *Agent) screen(in input) badRequest {
	req := in.req
	if s := a.draining.Load(); s > 0 || a.isClosing() {
		return badRequest{reply{code: 503, reason: "Service Unavailable", lines: []string{"Retry-After: " + strconv.FormatInt(max(s, 1), 10)}}, rejectDraining}
	}
	if in.e.fromTag == "" || contactOf(req) == nil {
		return badRequest{reply{code: 400, reason: "Missing From Tag Or Contact"}, rejectMalformed}
	}
	if bad := badExtensions(req); bad.code != 0 {
		return bad
	}
	if se, _, ok := seconds(req, "session-expires", "x"); ok && a.o.SessionExpires > 0 && se < a.o.MinSE && has(req, "timer", "supported", "k") {
		return badRequest{reply{code: 422, reason: "Session Interval Too Small", lines: []string{minSELine(a.o.MinSE)}}, rejectExtension} // RFC 4028 §9
	}
	return badRequest{}
}

// badExtensions refuses what the request demands and we cannot do.
func badExtensions(req *gosip.Request) badRequest {
	if unknown := unknownExtensions(req); len(unknown) > 0 {
		return badRequest{reply{code: 420, reason: "Bad Extension", lines: []string{"Unsupported: " + strings.Join(unknown, ", ")}}, rejectExtension}
	}
	if encoded(req) {
		return badRequest{reply{code: 415, reason: "Unsupported Media Type", lines: []string{"Accept-Encoding: identity"}}, rejectExtension}
	}
	if _, ok := bodyOf(req); !ok && !optionalBody(req) {
		return badRequest{reply{code: 415, reason: "Unsupported Media Type", lines: []string{acceptLine}}, rejectExtension}
	}
	return badRequest{}
}

// unknownExtensions are those that the request demands and we cannot do.
func unknownExtensions(req *gosip.Request) (unknown []string) {
	for _, o := range splitList(values(req, "require")) {
		if !strings.EqualFold(o, "timer") && !strings.EqualFold(o, "100rel") {
			unknown = append(unknown, oneLine(o))
		}
	}
	return unknown
}

// encoded: the body is not what its type says, but packed.
func encoded(req *gosip.Request) bool {
	enc := value(req, "content-encoding", "e")
	return enc != "" && !strings.EqualFold(enc, "identity")
}

// optionalBody: the sender does not mind that the body is not understood (RFC 3261 §20.11).
func optionalBody(req *gosip.Request) bool {
	v := strings.ToLower(value(req, "content-disposition"))
	return strings.Contains(strings.ReplaceAll(v, " ", ""), "handling=optional")
}

func (a *Agent) isClosing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closing
}

// capabilities answers OPTIONS (RFC 3261 §11.2).
func (a *Agent) capabilities() reply {
	if s := a.draining.Load(); s > 0 {
		return reply{code: 503, reason: "Service Unavailable", lines: []string{"Retry-After: " + strconv.FormatInt(s, 10)}}
	}
	return reply{code: 200, reason: "OK", lines: []string{allowLine, acceptLine, "Accept-Encoding: identity", supportedLine}}
}

// stateless answers a request and keeps nothing of it; a retransmission gets the same
// answer again, To tag included (RFC 3261 §8.2.7).
func (a *Agent) stateless(req *gosip.Request, from flow, r reply) {
	h := hmac.New(sha256.New, a.tagKey[:])
	for _, v := range []string{value(req, "call-id", "i"), value(req, "from", "f"), value(req, "cseq")} {
		h.Write([]byte(v))
	}
	r.tag = hex.EncodeToString(h.Sum(nil)[:8])
	to := replyTo(req.Via(), from)
	if err := a.send(to, a.response(req, from, r)); err != nil {
		a.log.Debug("sip: answer not sent", "code", r.code, "error", err)
	}
}
