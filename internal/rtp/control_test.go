package rtp_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"tapedeck/internal/rtp"
)

// readControl reads what came after a minute.
func readControl(datagram []byte) (c rtp.Control, err error) {
	err = c.Read(datagram, time.Minute)
	return c, err
}

// theirs is a report as another library writes it.
func theirs(t *testing.T, r *rtp.Report) []byte {
	t.Helper()
	var blocks []rtcp.ReceptionReport
	if b := r.Reception; b != nil {
		blocks = []rtcp.ReceptionReport{{
			SSRC: b.SSRC, FractionLost: b.Fraction, TotalLost: uint32(b.Lost) & 0xffffff,
			LastSequenceNumber: b.Highest, Jitter: b.Jitter, LastSenderReport: b.LastSR, Delay: b.Delay,
		}}
	}
	var packets []rtcp.Packet
	if s := r.Sender; s != nil {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: r.SSRC, NTPTime: s.NTP, RTPTime: s.RTPTime, PacketCount: s.Packets, OctetCount: s.Octets, Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: r.SSRC, Reports: blocks})
	}
	packets = append(packets, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: r.SSRC,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: r.CNAME}},
	}}})
	if r.Bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{r.SSRC}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReportsAreWrittenAsOthersWriteThem(t *testing.T) {
	block := rtp.Reception{SSRC: 9, Fraction: 12, Lost: -3, Highest: 0x10005, Jitter: 40, LastSR: 0x11223344, Delay: 65536}
	sender := rtp.SenderReport{NTP: 0x1122334455667788, RTPTime: 99, Packets: 5, Octets: 800}
	for size := range 256 {
		for _, r := range []rtp.Report{{}, {Reception: &block}, {Sender: &sender, Bye: true}, {Sender: &sender, Reception: &block, Bye: true}} {
			r.SSRC, r.CNAME = 0x7fffabcd, strings.Repeat("n", size)
			got, err := r.Append([]byte("before"))
			if want := append([]byte("before"), theirs(t, &r)...); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("a name of %d: %x, %v, want %x", size, got, err, want)
			}
		}
	}
}

// TestControlAllocatesNothing: who reads and writes it goes before other threads.
func TestControlAllocatesNothing(t *testing.T) {
	block := rtp.Reception{SSRC: 9, Lost: 3}
	sender := rtp.SenderReport{NTP: 1, Packets: 5, Octets: 800}
	var room [512]byte
	var c rtp.Control
	if n := testing.AllocsPerRun(100, func() {
		r := rtp.Report{SSRC: 7, CNAME: "sixteen letters.", Sender: &sender, Reception: &block, Bye: true}
		b, err := r.Append(room[:0])
		if err != nil || c.Read(b, time.Second) != nil || len(c.Senders) != 1 || len(c.Receptions) != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		if c.Read(b[:len(b)-4], time.Second) == nil {
			t.Fatal("a cut one was read")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReportsComeBackAsTheyWere(t *testing.T) {
	block := rtp.Reception{SSRC: 9, Fraction: 12, Lost: -3, Highest: 0x10005, Jitter: 40, LastSR: 0x11223344, Delay: 65536}
	sender := rtp.SenderReport{SSRC: 7, NTP: 0x1122334455667788, RTPTime: 99, Packets: 5, Octets: 800}
	for name, r := range map[string]rtp.Report{
		"sender":               {SSRC: 7, CNAME: "a name", Sender: &sender, Reception: &block},
		"sender hears nothing": {SSRC: 7, CNAME: "a name", Sender: &sender},
		"receiver":             {SSRC: 7, CNAME: "a name", Reception: &block},
		"goodbye":              {SSRC: 7, CNAME: "", Bye: true},
	} {
		b, err := r.Append(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !rtp.IsControl(b) {
			t.Errorf("%s is not taken for RTCP", name)
		}
		c, err := readControl(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var want rtp.Control
		if r.Sender != nil {
			s := sender
			s.Arrival = time.Minute
			want.Senders = []rtp.SenderReport{s}
		}
		if r.Reception != nil {
			want.Receptions = []rtp.Reception{block}
		}
		if r.Bye {
			want.Byes = []uint32{7}
		}
		if !reflect.DeepEqual(c, want) {
			t.Errorf("%s: %+v, want %+v", name, c, want)
		}
	}
}

func TestLostIsClampedTo24Bits(t *testing.T) {
	for lost, want := range map[int32]int32{1 << 30: 1<<23 - 1, -1 << 30: -1 << 23, 5: 5, -1: -1} {
		b, err := (&rtp.Report{Reception: &rtp.Reception{Lost: lost}}).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := readControl(b)
		if err != nil || c.Receptions[0].Lost != want {
			t.Errorf("%d comes back as %d, %v", lost, c.Receptions[0].Lost, err)
		}
	}
}

func TestAppendRefusesALongName(t *testing.T) {
	if _, err := (&rtp.Report{CNAME: string(make([]byte, 300))}).Append(nil); err == nil {
		t.Error("a CNAME of 300 bytes was written")
	}
}

func TestOtherPacketsArePassedOver(t *testing.T) {
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 1},
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2},
		&rtcp.Goodbye{Sources: []uint32{1, 2}, Reason: "enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := readControl(b)
	if err != nil || !reflect.DeepEqual(c.Byes, []uint32{1, 2}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBrokenControl(t *testing.T) {
	good, err := (&rtp.Report{SSRC: 7, CNAME: "x", Sender: &rtp.SenderReport{NTP: 1}}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty":     nil,
		"short":     good[:3],
		"cut":       good[:len(good)-4],
		"RTP":       datagram(pcmu, 1, 0, 7),
		"garbage":   append(append([]byte{}, good...), 1, 2, 3, 4),
		"cut SR":    {0x80, 200, 0, 1, 0, 0, 0, 1},
		"cut RR":    {0x81, 201, 0, 1, 0, 0, 0, 1},
		"cut SDES":  {0x82, 202, 0, 1, 0, 0, 0, 1},
		"cut BYE":   {0x83, 203, 0, 1, 0, 0, 0, 1},
		"version 1": {0x40, 201, 0, 1, 0, 0, 0, 1},
	} {
		if _, err := readControl(b); !errors.Is(err, rtp.ErrControl) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	sent := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	back := sent.Add(350 * ms)
	b := rtp.Reception{LastSR: uint32(rtp.NTP(sent) >> 16), Delay: 1 << 14} // held for 250 ms
	got, ok := b.RoundTrip(rtp.NTP(back))
	if !ok || got < 99*ms || got > 101*ms {
		t.Errorf("round trip %s, want 100 ms", got)
	}
	b.Delay = 1 << 20
	if _, ok := b.RoundTrip(rtp.NTP(back)); ok {
		t.Error("a round trip below zero")
	}
	if _, ok := (&rtp.Reception{}).RoundTrip(rtp.NTP(back)); ok {
		t.Error("a round trip without a report")
	}
}

func TestNTP(t *testing.T) {
	if got := rtp.NTP(time.Unix(0, int64(time.Second/2))); got != 2208988800<<32|1<<31 {
		t.Errorf("%#x", got)
	}
}

func FuzzControl(f *testing.F) {
	for _, r := range []rtp.Report{
		{SSRC: 7, CNAME: "x", Sender: &rtp.SenderReport{NTP: 1}, Reception: &rtp.Reception{SSRC: 9}},
		{SSRC: 7, Bye: true},
	} {
		b, err := r.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x80, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := readControl(b)
		if err != nil {
			if !errors.Is(err, rtp.ErrControl) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if !rtp.IsControl(b) {
			t.Fatal("read as RTCP, but not taken for it")
		}
		for _, s := range c.Senders {
			out, err := (&rtp.Report{SSRC: s.SSRC, Sender: &s}).Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := readControl(out); err != nil || again.Senders[0] != s {
				t.Fatalf("%+v comes back as %+v, %v", s, again.Senders, err)
			}
		}
		for _, r := range c.Receptions {
			r.RoundTrip(1 << 40)
		}
		// What another library reads is the same.
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			return
		}
		var want rtp.Control
		for _, p := range packets {
			var blocks []rtcp.ReceptionReport
			switch p := p.(type) {
			case *rtcp.SenderReport:
				want.Senders = append(want.Senders, rtp.SenderReport{
					Arrival: time.Minute, SSRC: p.SSRC, NTP: p.NTPTime, RTPTime: p.RTPTime, Packets: p.PacketCount, Octets: p.OctetCount,
				})
				blocks = p.Reports
			case *rtcp.ReceiverReport:
				blocks = p.Reports
			case *rtcp.Goodbye:
				want.Byes = append(want.Byes, p.Sources...)
			}
			for _, b := range blocks {
				want.Receptions = append(want.Receptions, rtp.Reception{
					SSRC: b.SSRC, Fraction: b.FractionLost, Lost: int32(b.TotalLost<<8) >> 8,
					Highest: b.LastSequenceNumber, Jitter: b.Jitter, LastSR: b.LastSenderReport, Delay: b.Delay,
				})
			}
		}
		if !reflect.DeepEqual(c, want) {
			t.Fatalf("%+v, another library reads %+v", c, want)
		}
	})
}
