package callgen

import (
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/rtp"
)

// TestPacketsOfALoad: what is written from tables is what Put and µ-law make.
func TestPacketsOfALoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stamps().Draw(t, "stamp")
		packet := newPacket()
		s.putMu(&packet)
		pcm, want := make([]int16, StampSamples), make([]byte, StampSamples)
		s.Put(pcm)
		g711.EncodeMu(want, pcm)
		if got := packet[rtp.HeaderSize : rtp.HeaderSize+StampSamples]; string(got) != string(want) {
			t.Fatalf("%x, want %x", got, want)
		}
		if got, ok := readMu(packet[rtp.HeaderSize:]); !ok || got != s {
			t.Fatalf("read %+v %v, put %+v", got, ok, s)
		}
		at := rapid.IntRange(0, StampSamples-1).Draw(t, "at")
		packet[rtp.HeaderSize+at] ^= 0x10 // another segment
		if got, ok := readMu(packet[rtp.HeaderSize:]); ok {
			t.Fatalf("a damaged stamp was read as %+v", got)
		}
	})
	if _, ok := readMu(make([]byte, StampSamples-1)); ok {
		t.Error("a stamp that is cut was read")
	}
}

// TestSum: the sum from tables is the CRC of the bytes, low ones first.
func TestSum(t *testing.T) {
	s := Stamp{Call: 0x123456, Leg: 1, Counter: 0x789abc, Sent: 0x11223344556677}
	b := []byte{0x56, 0x34, 0x12, 0, 0xbc, 0x9a, 0x78, 0, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1}
	if got, want := s.sum(), crc32.ChecksumIEEE(b); got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}
