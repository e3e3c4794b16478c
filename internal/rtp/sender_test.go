package rtp_test

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/rtp"
)

// sent is a packet as it goes out.
type sent struct {
	pt     uint8
	marker bool
	seq    uint16
	time   uint32
	ssrc   uint32
}

func look(b []byte) sent {
	return sent{
		pt: b[1] & 0x7f, marker: b[1]&0x80 != 0,
		seq: binary.BigEndian.Uint16(b[2:]), time: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
	}
}

// mouth relays what an ear hears.
type mouth struct {
	*ear
	rtp.Sender
}

func newMouth(t testing.TB) *mouth {
	m := &mouth{ear: newEar(t, peer)}
	m.Start(0xabc, 65530, 0xfffffff0, 8000)
	return m
}

func (m *mouth) relay(pt uint8, seq uint16, ts uint32) (sent, bool) {
	v := m.hear(peer, pt, seq, ts, 7)
	if !v.Usable() {
		return sent{}, false
	}
	if r := m.Released(); r != nil {
		m.Relay(r, 0, m.Epoch(), true)
	}
	b := m.Relay(&m.last, pt, m.Epoch(), v != rtp.Event)
	if b == nil {
		return sent{}, false
	}
	return look(b), true
}

func (m *mouth) must(t *testing.T, pt uint8, seq uint16, ts uint32) sent {
	t.Helper()
	k, ok := m.relay(pt, seq, ts)
	if !ok {
		t.Fatalf("packet %d was not relayed", seq)
	}
	return k
}

func TestRelayIsOneStream(t *testing.T) {
	m := newMouth(t)
	first := m.must(t, pcmu, 40000, 77)
	if first != (sent{pt: pcmu, marker: true, seq: 65531, time: 0xfffffff0, ssrc: 0xabc}) {
		t.Fatalf("%+v", first)
	}
	if k := m.must(t, pcmu, 40001, 237); k.seq != 65532 || k.time != 0x90 || k.marker {
		t.Errorf("%+v", k)
	}
	m.Break()
	own := look(m.Own(make([]byte, 12+160), 0, 160, m.at+20*ms))
	if own.seq != 65533 || own.time != 0x90+160 || !own.marker {
		t.Errorf("own: %+v", own)
	}
	own = look(m.Own(make([]byte, 12+160), 0, 160, m.at+47*ms)) // a late timer does not bend time
	if own.seq != 65534 || own.time != 0x90+320 || own.marker {
		t.Errorf("own: %+v", own)
	}
	m.at += 980 * ms
	m.Break()
	k := m.must(t, pcmu, 40050, 99999)
	if k.seq != 65535 || !k.marker {
		t.Errorf("%+v", k)
	}
	if step := k.time - own.time; step != 953*8 {
		t.Errorf("time goes on by %d units after 953 ms", step)
	}
	if m.Packets() != 5 || m.Octets() != 800 || m.SSRC() != 0xabc || m.ClockRate() != 8000 {
		t.Errorf("%d packets, %d octets", m.Packets(), m.Octets())
	}
}

func TestAPacketOlderThanTheAnchorHasNoPlace(t *testing.T) {
	m := newMouth(t)
	m.must(t, pcmu, 10, 1600)
	m.Break()
	m.must(t, pcmu, 12, 1920)
	if _, ok := m.relay(pcmu, 11, 1760); ok {
		t.Error("a packet from before the break was relayed")
	}
}

func TestSkipClosesUp(t *testing.T) {
	m := newMouth(t)
	first := m.must(t, pcmu, 10, 1600)
	m.hear(peer, noise, 11, 1760, 7)
	m.Skip(&m.last, m.Epoch())
	if k := m.must(t, pcmu, 12, 1920); k.seq != first.seq+1 || k.time != first.time+320 {
		t.Errorf("%+v after %+v", k, first)
	}
	if k := m.must(t, pcmu, 14, 2240); k.seq != first.seq+3 {
		t.Errorf("loss does not show: %+v", k)
	}
	if k := m.must(t, pcmu, 13, 2080); k.seq != first.seq+2 {
		t.Errorf("late: %+v", k)
	}
}

func TestADigitKeepsOneTime(t *testing.T) {
	m := newMouth(t)
	audio := m.must(t, pcmu, 10, 1600)
	var digit sent
	for i := range uint16(6) {
		k := m.must(t, event, 11+i, 1760)
		if i == 0 {
			digit = k
		}
		if k.time != audio.time+160 || k.seq != audio.seq+1+i || k.marker != digit.marker {
			t.Fatalf("packet %d of the digit: %+v", i, k)
		}
	}
	if k := m.must(t, pcmu, 17, 1760+6*160); k.time != audio.time+160+6*160 {
		t.Errorf("audio after the digit: %+v", k)
	}
}

func TestClockOfReports(t *testing.T) {
	m := newMouth(t)
	k := m.must(t, pcmu, 10, 1600)
	if got := m.Clock(m.at + 500*ms); got != k.time+4000 {
		t.Errorf("%d, want %d", got, k.time+4000)
	}
}

// However the source behaves, what goes out has growing numbers, and never the
// same number twice.
func TestRelayNeverRepeatsANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &mouth{ear: &ear{at: time.Second}}
		m.SetFormats(formats(), m.at)
		m.SetRemote(addr(peer), m.at)
		m.Start(1, rapid.Uint16().Draw(t, "start"), 0, 8000)
		used := map[uint16]bool{}
		note := func(b []byte) {
			if b == nil {
				return
			}
			k := look(b)
			if used[k.seq] {
				t.Fatalf("number %d goes out twice", k.seq)
			}
			used[k.seq] = true
		}
		seq, ts, ssrc := uint16(100), uint32(0), uint32(7)
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				ssrc++
				seq, ts = rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "time")
			case 1:
				seq, ts = rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "time")
			case 2:
				m.Break()
			case 3:
				note(m.Own(make([]byte, 12+160), 0, 160, m.at))
			case 4:
				seq += uint16(rapid.IntRange(1, 40).Draw(t, "lost"))
			case 5:
				seq -= uint16(rapid.IntRange(1, 40).Draw(t, "late"))
			}
			v := m.hear(peer, pcmu, seq, ts, ssrc)
			if r := m.Released(); r != nil && r.Verdict.Usable() && r.Verdict != rtp.Duplicate {
				note(m.Relay(r, 0, m.Epoch(), true))
			}
			playing, _ := m.ear.SSRC()
			if v.Usable() && v != rtp.Duplicate && m.last.SSRC == playing {
				if rapid.IntRange(0, 9).Draw(t, "skip") == 0 {
					m.Skip(&m.last, m.Epoch())
				} else {
					note(m.Relay(&m.last, 0, m.Epoch(), true))
				}
			}
			seq++
			ts += 160
		}
	})
}

func TestDigits(t *testing.T) {
	type packet struct {
		code, flags byte
		duration    uint16
		time        uint64
		marker      bool
	}
	for name, test := range map[string]struct {
		in   []packet
		want string
	}{
		"one":                             {[]packet{{5, 0, 160, 1000, true}, {5, 0, 320, 1000, false}, {5, 0x80, 480, 1000, false}, {5, 0x80, 480, 1000, false}, {5, 0x80, 480, 1000, false}}, "5"},
		"all":                             {[]packet{{0, 0, 1, 1, true}, {9, 0, 1, 2, true}, {10, 0, 1, 3, true}, {11, 0, 1, 4, true}, {12, 0, 1, 5, true}, {15, 0, 1, 6, true}}, "09*#AD"},
		"twice the same":                  {[]packet{{1, 0, 160, 1000, true}, {1, 0x80, 800, 1000, false}, {1, 0, 160, 3000, true}, {1, 0x80, 800, 3000, false}}, "11"},
		"first packets lost":              {[]packet{{1, 0x80, 800, 1000, false}, {2, 0x80, 800, 3000, false}}, "12"},
		"end of the one before is late":   {[]packet{{1, 0, 160, 1000, true}, {2, 0, 160, 3000, true}, {1, 0x80, 800, 1000, false}, {2, 0x80, 800, 3000, false}}, "12"},
		"long, in two segments":           {[]packet{{3, 0, 160, 1000, true}, {3, 0, 65535, 1000, false}, {3, 0, 800, 1000 + 65535, false}, {3, 0x80, 900, 1000 + 65535, false}}, "3"},
		"hook flash":                      {[]packet{{16, 0x80, 160, 1000, true}}, ""},
		"the sender's clock was set back": {[]packet{{1, 0x80, 160, 1 << 33, true}, {2, 0x80, 160, 1 << 32, true}}, "12"},
	} {
		var d rtp.Digits
		got := ""
		for _, k := range test.in {
			p := rtp.Received{Time: k.time, SSRC: 7, Marker: k.marker, Verdict: rtp.Event,
				Payload: []byte{k.code, k.flags, byte(k.duration >> 8), byte(k.duration)}}
			if digit, ok := d.Read(&p); ok {
				got += string(digit)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	var d rtp.Digits
	if _, ok := d.Read(&rtp.Received{Payload: []byte{1, 2, 3}}); ok {
		t.Error("a digit of three bytes")
	}
}

func TestRelayAllocatesNothing(t *testing.T) {
	m := newMouth(t)
	d := datagram(pcmu, 0, 0, 7)
	from := addr(peer)
	seq := uint16(0)
	if got := testing.AllocsPerRun(1000, func() {
		seq++
		binary.BigEndian.PutUint16(d[2:], seq)
		m.at += 20 * ms
		m.Receive(&m.last, d, from, m.at)
		m.Relay(&m.last, 8, m.Epoch(), true)
		binary.BigEndian.PutUint32(d[8:], 7) // the relay wrote its own
	}); got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}
