package sip

import (
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// The bodies of an INFO that say which key was pressed. Both are as old as gateways
// and stand in no RFC.
const (
	relayType = "application/dtmf-relay" // "Signal=5\r\nDuration=160"
	plainType = "application/dtmf"       // "5"
	infoLine  = "Accept: " + relayType + ", " + plainType
)

// onInfo takes INFO (RFC 6086 §4.2): a key, or nothing, as some peers send it to see
// whether the dialog lives.
func (d *Dialog) onInfo(in input) {
	if d.ended {
		d.a.refuseUnknown(in)
		return
	}
	if unknown := unknownExtensions(in.req); len(unknown) > 0 {
		d.a.m.reject(rejectExtension)
		d.serve(in, reply{code: 420, reason: "Bad Extension", lines: []string{"Unsupported: " + strings.Join(unknown, ", ")}})
		return
	}
	body := in.req.Body()
	if len(body) == 0 {
		d.serve(in, reply{code: 200, reason: "OK"})
		return
	}
	kind, _, err := mime.ParseMediaType(value(in.req, "content-type", "c"))
	if err != nil || kind != relayType && kind != plainType || encoded(in.req) {
		d.a.m.reject(rejectExtension)
		d.serve(in, reply{code: 415, reason: phraseOf(415), lines: []string{infoLine, "Accept-Encoding: identity"}})
		return
	}
	e, ok := readKey(kind, string(body))
	if !ok {
		d.a.m.reject(rejectMalformed)
		d.serve(in, reply{code: 400, reason: "Bad Request"})
		return
	}
	d.serve(in, reply{code: 200, reason: "OK"})
	d.emit(e)
}

// readKey reads the body of an INFO.
func readKey(kind, body string) (e Info, ok bool) {
	if kind == plainType {
		e.Key, ok = keyOf(strings.TrimSpace(body))
		return e, ok
	}
	for line := range strings.Lines(body) {
		name, v, _ := strings.Cut(line, "=")
		v = strings.TrimSpace(v)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "signal":
			if e.Key, ok = keyOf(v); !ok {
				return Info{}, false
			}
		case "duration":
			// What is no number of this size tells nothing, and the key counts all the same.
			if ms, err := strconv.ParseUint(v, 10, 16); err == nil {
				e.Duration = time.Duration(ms) * time.Millisecond
			}
		}
	}
	return e, ok
}

// keyOf reads a key: itself, or its number among the events of RFC 4733 §3.2.
func keyOf(s string) (byte, bool) {
	const keys = "0123456789*#ABCD"
	if len(s) == 1 {
		if i := strings.Index(keys, strings.ToUpper(s)); i >= 0 {
			return keys[i], true
		}
		return 0, false
	}
	i := slices.Index([]string{"10", "11", "12", "13", "14", "15"}, s)
	if i < 0 {
		return 0, false
	}
	return keys[10+i], true
}

// SendKey tells the peer of an answered call by INFO which key was pressed, '0' to
// '9', '*', '#' or 'A' to 'D', and for how long. What the peer says to it tells
// nothing: many take no INFO.
func (d *Dialog) SendKey(key byte, pressed time.Duration) error {
	if _, ok := keyOf(string(key)); !ok {
		return fmt.Errorf("sip: %q is no key", key)
	}
	d.mu.Lock()
	phase := d.phase
	d.mu.Unlock()
	switch {
	case phase >= phaseClosing:
		return ErrEnded
	case phase != phaseUp:
		return fmt.Errorf("%w: a key needs an answered call", ErrState)
	}
	body := fmt.Sprintf("Signal=%c\r\nDuration=%d\r\n", key, pressed.Milliseconds())
	d.post(input{run: func() {
		if d.ended || d.peer == nil {
			return
		}
		d.start(&outgoing{method: methodInfo, peer: d.peer, kind: relayType, body: []byte(body), done: d.told})
	}})
	return nil
}

// told hears what became of an INFO of ours.
func (d *Dialog) told(_ *call, code int, _ *gosip.Response, _ essentials) {
	if code >= 300 {
		d.a.log.Debug("sip: INFO was not accepted", "call", d.callID, "code", code)
	}
}
