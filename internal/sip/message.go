package sip

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// message is a parsed request or response.
type message interface {
	gosip.Message
	Headers() []gosip.Header
}

// essentials is what every message carries (RFC 3261 §8.1.1), looked up once.
type essentials struct {
	callID, fromTag, toTag string
	seq                    uint32
	method                 string // of the CSeq
	via                    *gosip.ViaHeader
	branch                 string
}

var errEssentials = errors.New("sip: message lacks what every message has")

func essentialsOf(m message) (e essentials, err error) {
	via, from, to, id, seq := m.Via(), m.From(), m.To(), m.CallID(), m.CSeq()
	switch {
	case via == nil || via.Host == "":
		return e, fmt.Errorf("%w: Via", errEssentials)
	case from == nil:
		return e, fmt.Errorf("%w: From", errEssentials)
	case to == nil:
		return e, fmt.Errorf("%w: To", errEssentials)
	case id == nil || string(*id) == "":
		return e, fmt.Errorf("%w: Call-ID", errEssentials)
	case seq == nil:
		return e, fmt.Errorf("%w: CSeq", errEssentials)
	}
	e = essentials{
		callID: string(*id), fromTag: param(from.Params, "tag"), toTag: param(to.Params, "tag"),
		seq: seq.SeqNo, method: strings.TrimSpace(string(seq.MethodName)),
		via: via, branch: param(via.Params, "branch"),
	}
	if e.method == "" {
		return e, fmt.Errorf("%w: CSeq", errEssentials)
	}
	return e, nil
}

// param looks a parameter up. Names are compared without regard to case (RFC 3261
// §7.3.1), and some peers write blanks around them.
func param(p gosip.HeaderParams, name string) string {
	v, _ := lookup(p, name)
	return v
}

func lookup(p gosip.HeaderParams, name string) (string, bool) {
	for _, kv := range p {
		if strings.EqualFold(strings.TrimSpace(kv.K), name) {
			return strings.TrimSpace(kv.V), true
		}
	}
	return "", false
}

// values gives the values of every header with one of the names; a list stays a list.
func values(m message, names ...string) []string {
	var out []string
	for _, h := range m.Headers() {
		for _, n := range names {
			if strings.EqualFold(h.Name(), n) {
				out = append(out, h.Value())
			}
		}
	}
	return out
}

// value gives the first value of a header, "" when there is none.
func value(m message, names ...string) string {
	for _, h := range m.Headers() {
		for _, n := range names {
			if strings.EqualFold(h.Name(), n) {
				return h.Value()
			}
		}
	}
	return ""
}

// splitList takes comma-separated lists apart; commas inside quotes stay.
func splitList(lists []string) []string {
	var out []string
	for _, l := range lists {
		for _, v := range splitQuoted(l, ',') {
			if v = strings.TrimSpace(v); v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

// splitQuoted splits at the separator, but not inside quotes or angle brackets.
func splitQuoted(s string, separator byte) []string {
	var out []string
	quoted, escaped, angle, start := false, false, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle++
		case c == '>':
			angle--
		case c == separator && angle <= 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// quote makes a quoted-string (RFC 3261 §25.1).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// has tells whether a token is in a list header (Supported, Require, Allow …).
func has(m message, token string, names ...string) bool {
	for _, v := range splitList(values(m, names...)) {
		if strings.EqualFold(v, token) {
			return true
		}
	}
	return false
}

// seconds reads a header that begins with delta-seconds: Session-Expires, Min-SE,
// Expires. The parameters come back as they are.
func seconds(m message, names ...string) (time.Duration, string, bool) {
	v := value(m, names...)
	if v == "" {
		return 0, "", false
	}
	number, rest, _ := strings.Cut(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
	if err != nil {
		return 0, "", false
	}
	return time.Duration(n) * time.Second, rest, true
}

// userOf gives who a URI names: its user part, or the number of a tel: URI.
func userOf(u *gosip.Uri) string {
	user := u.User
	if raw := u.Raw(); raw != "" {
		user, _, _ = strings.Cut(raw, ";")
	}
	if plain, err := url.PathUnescape(user); err == nil {
		return plain
	}
	return user
}

// contactOf gives the URI of the first Contact, nil when there is no usable one.
func contactOf(m message) *gosip.Uri {
	for _, h := range m.Headers() {
		if c, ok := h.(*gosip.ContactHeader); ok && !c.Address.Wildcard && c.Address.Host != "" {
			return c.Address.Clone()
		}
	}
	return nil
}

// recordRoute gives the Record-Route URIs in their order.
func recordRoute(m message) []gosip.Uri {
	var out []gosip.Uri
	for _, h := range m.Headers() {
		if r, ok := h.(*gosip.RecordRouteHeader); ok && r.Address.Host != "" {
			out = append(out, *r.Address.Clone())
		}
	}
	return out
}

// bodyOf takes the SDP out of a message. It is nil when there is none; ok is false when
// there is a body that is neither SDP nor a multipart with SDP in it.
func bodyOf(m message) (sdp []byte, ok bool) {
	body := m.Body()
	if len(body) == 0 {
		return nil, true
	}
	kind, params, err := mime.ParseMediaType(value(m, "content-type", "c"))
	switch {
	case err != nil:
		return nil, false
	case kind == "application/sdp":
		return body, true
	case strings.HasPrefix(kind, "multipart/"): // RFC 5621 §5
		return partOf(body, params["boundary"])
	}
	return nil, false
}

func partOf(body []byte, boundary string) ([]byte, bool) {
	const maxParts = 16
	r := multipart.NewReader(strings.NewReader(string(body)), boundary)
	for range maxParts {
		p, err := r.NextRawPart()
		if err != nil {
			return nil, false
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || kind != "application/sdp" {
			continue
		}
		var b strings.Builder
		if _, err := io.Copy(&b, p); err != nil {
			return nil, false
		}
		return []byte(b.String()), true
	}
	return nil, false
}
