package rtp_test

import (
	"bytes"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"tapedeck/internal/rtp"
)

// listener is a receiver that takes any payload type from the peer.
func listener() rtp.Receiver {
	var r rtp.Receiver
	all := make([]rtp.Format, 128)
	for pt := range all {
		all[pt] = rtp.Format{PT: uint8(pt), Kind: rtp.Audio, ClockRate: 8000}
	}
	r.SetFormats(all, 0)
	r.SetRemote(addr(peer), 0)
	return r
}

// read classifies one datagram as the first one of a trusted peer.
func read(r rtp.Receiver, b []byte) (rtp.Received, rtp.Verdict) {
	var p rtp.Received
	v := r.Receive(&p, b, addr(peer), time.Second)
	return p, v
}

func TestHeader(t *testing.T) {
	plain := []byte{0x80, 0x80 | 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 'a', 'b', 'c'}
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(plain)) }
	for name, test := range map[string]struct {
		in      []byte
		payload string
		ok      bool
	}{
		"plain":       {plain, "abc", true},
		"no payload":  {plain[:12], "", true},
		"empty":       {nil, "", false},
		"too short":   {plain[:11], "", false},
		"version 1":   {change(func(b []byte) []byte { b[0] = 0x40; return b }), "", false},
		"STUN":        {[]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "", false},
		"two CSRCs":   {change(func(b []byte) []byte { b[0] |= 2; return append(b[:12], "12345678abc"...) }), "abc", true},
		"short CSRCs": {change(func(b []byte) []byte { b[0] |= 2; return b }), "", false},
		"extension": {change(func(b []byte) []byte {
			b[0] |= 0x10
			return append(b[:12], "\xbe\xde\x00\x01\x10\xff\x00\x00abc"...)
		}), "abc", true},
		// What it holds is nobody's business here.
		"broken extension": {change(func(b []byte) []byte {
			b[0] |= 0x10
			return append(b[:12], "\xbe\xde\x00\x01\x1f\xff\xff\xffabc"...)
		}), "abc", true},
		"extension without length": {change(func(b []byte) []byte { b[0] |= 0x10; return b }), "", false},
		"extension too long": {change(func(b []byte) []byte {
			b[0] |= 0x10
			return append(b[:12], "\xbe\xde\x00\x09abc"...)
		}), "", false},
		"padding":          {change(func(b []byte) []byte { b[0] |= 0x20; return append(b, 0, 0, 3) }), "abc", true},
		"only padding":     {change(func(b []byte) []byte { b[0] |= 0x20; return append(b[:12], 0, 2) }), "", true},
		"padding of 0":     {change(func(b []byte) []byte { b[0] |= 0x20; return append(b, 0) }), "", false},
		"padding too long": {change(func(b []byte) []byte { b[0] |= 0x20; return append(b, 9) }), "", false},
		"padding of none":  {change(func(b []byte) []byte { b[0] |= 0x20; return b[:12] }), "", false},
	} {
		p, v := read(listener(), test.in)
		if (v == rtp.Audio) != test.ok || test.ok && string(p.Payload) != test.payload {
			t.Errorf("%s: %s, payload %q", name, v, p.Payload)
		}
		if test.ok && (p.PT != 8 || !p.Marker || p.SSRC != 3 || uint16(p.Seq) != 1 || uint32(p.Time) != 2) {
			t.Errorf("%s: %+v", name, p)
		}
		if test.ok && (len(p.Packet()) != rtp.HeaderSize+len(p.Payload) || cap(p.Packet()) != len(p.Packet())) {
			t.Errorf("%s: %d bytes of room", name, len(p.Packet()))
		}
	}
}

func TestVerdictNames(t *testing.T) {
	for v := rtp.Audio; v <= rtp.Held; v++ {
		if v.String() == "" || v.String() == "invalid" {
			t.Errorf("verdict %d has no name", v)
		}
	}
	if rtp.Verdict(99).String() != "invalid" {
		t.Error("a verdict that does not exist has a name")
	}
}

// FuzzReceive: any datagram gets a verdict, and what we call RTP is what another
// implementation reads too.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{})
	f.Add(datagram(pcmu, 1, 160, 7))
	f.Add([]byte{0xb2, 0x65, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, 9, 9, 0, 2})
	f.Add([]byte{0xa0, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 4})
	f.Add([]byte{0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	fresh := listener()
	f.Fuzz(func(t *testing.T, b []byte) {
		p, v := read(fresh, bytes.Clone(b))
		var other pion.Packet
		err := other.Unmarshal(b)
		if v != rtp.Audio {
			if v != rtp.Malformed {
				t.Fatalf("the first datagram of a peer is %s", v)
			}
			if err == nil && other.Version == 2 {
				t.Fatalf("another implementation reads it: %v", other)
			}
			return
		}
		if err != nil {
			if !other.Extension {
				t.Fatalf("another implementation does not read it: %v", err)
			}
			return // broken extensions do not bother us
		}
		if other.PayloadType != p.PT || other.Marker != p.Marker || other.SSRC != p.SSRC ||
			other.SequenceNumber != uint16(p.Seq) || other.Timestamp != uint32(p.Time) {
			t.Fatalf("header: %+v, another implementation: %+v", p, other.Header)
		}
		if !bytes.Equal(other.Payload, p.Payload) {
			t.Fatalf("payload %x, another implementation: %x", p.Payload, other.Payload)
		}
	})
}

// FuzzStream: a stream of any datagrams from any of three addresses never takes
// the receiver out of step with itself.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\x00\x00\x01\x00\x00\x02\x01\x00\x01\x01\x00\x02\x02\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newEar(t, peer)
		from := []string{peer, nat, thief, another}
		var usable uint64
		for ; len(b) >= 3; b = b[3:] {
			pt := []uint8{pcmu, event, noise, 77}[b[0]>>2&3]
			seq := uint16(b[1])<<8 | uint16(b[2])
			e.at += time.Duration(b[0]) * ms
			v := e.hear(from[b[0]&3], pt, seq, uint32(seq)*160, uint32(b[0]>>4&3))
			if r := e.Released(); r != nil && r.Verdict.Usable() && r.Verdict != rtp.Duplicate {
				usable++
			}
			if v.Usable() && v != rtp.Duplicate {
				usable++
			}
		}
		if got := e.Counts().Received; got != usable {
			t.Fatalf("%d packets counted as received, %d handed out", got, usable)
		}
		e.Reception(e.at)
	})
}
