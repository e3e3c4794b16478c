package g711_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"

	"tapedeck/internal/codec/g711"
)

// The formulas of the recommendation, written down once more in another way:
// µ-law after G.711 tables 2a and 2b (14-bit values), A-law after tables 1a and
// 1b (13-bit values). Both laws are defined by decision values: a sample belongs
// to the interval that it falls into.

// muDecision is the lower end of the interval of µ-law code n, 14 bits.
func muDecision(n int) int {
	if n == 0 {
		return 0
	}
	segment, step := n/16, n%16
	return (16+step)<<(segment+1) - 33
}

// muLevel is the magnitude that µ-law code n stands for, 0..127: the middle of
// its interval, and zero for the first.
func muLevel(n int) int {
	if n == 0 {
		return 0
	}
	return (muDecision(n) + muDecision(n+1)) / 2
}

// aLevel is the magnitude (12 bits, in half units) of A-law code n, 0..127.
func aLevel(n int) (twice int) {
	lo, hi := aDecision(n), aDecision(n+1)
	return lo + hi
}

// aDecision is the lower end of the interval of code n, in 12-bit units.
func aDecision(n int) int {
	segment, step := n/16, n%16
	if segment == 0 {
		return step * 2
	}
	return (32 + step*2) << (segment - 1)
}

func muCode(n int, negative bool) byte {
	if negative {
		return ^byte(n | 0x80)
	}
	return ^byte(n)
}

func aCode(n int, negative bool) byte {
	if negative {
		return byte(n) ^ 0x55
	}
	return byte(n|0x80) ^ 0x55
}

func TestDecodeFollowsTheTablesOfG711(t *testing.T) {
	for n := range 128 {
		for _, negative := range []bool{false, true} {
			sign := 1
			if negative {
				sign = -1
			}
			var got [1]int16
			g711.DecodeMu(got[:], []byte{muCode(n, negative)})
			if want := sign * muLevel(n) * 4; int(got[0]) != want {
				t.Errorf("µ-law code %d (negative %t) is %d, want %d", n, negative, got[0], want)
			}
			g711.DecodeA(got[:], []byte{aCode(n, negative)})
			if want := sign * aLevel(n) / 2 * 8; int(got[0]) != want {
				t.Errorf("A-law code %d (negative %t) is %d, want %d", n, negative, got[0], want)
			}
		}
	}
}

func TestEncodeFollowsTheDecisionValuesOfG711(t *testing.T) {
	for v := math.MinInt16; v <= math.MaxInt16; v++ {
		m, negative := v, v < 0
		if negative {
			m = ^v
		}
		mu, a := 127, 127
		for mu > 0 && m>>2 < muDecision(mu) {
			mu--
		}
		for a > 0 && m>>3 < aDecision(a) {
			a--
		}
		var got [1]byte
		g711.EncodeMu(got[:], []int16{int16(v)})
		if want := muCode(mu, negative); got[0] != want {
			t.Fatalf("µ-law of %d is %#x, want %#x", v, got[0], want)
		}
		g711.EncodeA(got[:], []int16{int16(v)})
		if want := aCode(a, negative); got[0] != want {
			t.Fatalf("A-law of %d is %#x, want %#x", v, got[0], want)
		}
	}
}

func TestEveryCodeSurvivesDecodeAndEncode(t *testing.T) {
	const negativeZero = 0x7f // µ-law has two codes for zero
	for c := range 256 {
		var pcm [1]int16
		var back [1]byte
		g711.DecodeMu(pcm[:], []byte{byte(c)})
		g711.EncodeMu(back[:], pcm[:])
		if back[0] != byte(c) && c != negativeZero {
			t.Errorf("µ-law code %#x comes back as %#x", c, back[0])
		}
		g711.DecodeA(pcm[:], []byte{byte(c)})
		g711.EncodeA(back[:], pcm[:])
		if back[0] != byte(c) {
			t.Errorf("A-law code %#x comes back as %#x", c, back[0])
		}
	}
}

func TestDirectConversionIsDecodeAndEncode(t *testing.T) {
	for c := range 256 {
		var pcm [1]int16
		var want [1]byte
		b := []byte{byte(c)}
		g711.DecodeMu(pcm[:], b)
		g711.EncodeA(want[:], pcm[:])
		if g711.MuToA(b); b[0] != want[0] {
			t.Errorf("µ-law %#x becomes A-law %#x, want %#x", c, b[0], want[0])
		}
		b[0] = byte(c)
		g711.DecodeA(pcm[:], b)
		g711.EncodeMu(want[:], pcm[:])
		if g711.AToMu(b); b[0] != want[0] {
			t.Errorf("A-law %#x becomes µ-law %#x, want %#x", c, b[0], want[0])
		}
	}
}

func TestSilenceIsTheSmallestPositiveValue(t *testing.T) {
	var got [1]byte
	g711.EncodeMu(got[:], []int16{0})
	if got[0] != g711.SilenceMu {
		t.Errorf("µ-law of 0 is %#x", got[0])
	}
	g711.EncodeA(got[:], []int16{0})
	if got[0] != g711.SilenceA {
		t.Errorf("A-law of 0 is %#x", got[0])
	}
	b := []byte{g711.SilenceMu}
	if g711.MuToA(b); b[0] != g711.SilenceA {
		t.Errorf("µ-law silence becomes A-law %#x", b[0])
	}
}

// Decoding all 256 codes in order, as ffmpeg's "pcm_mulaw" and "pcm_alaw" and
// sox do it: the SHA-256 of the 512 bytes of little-endian PCM.
func TestDecodeAgreesWithOtherPrograms(t *testing.T) {
	for _, test := range []struct {
		name, sum string
		decode    func([]int16, []byte)
	}{
		{"mulaw", muSum, g711.DecodeMu},
		{"alaw", aSum, g711.DecodeA},
	} {
		codes, pcm := make([]byte, 256), make([]int16, 256)
		for i := range codes {
			codes[i] = byte(i)
		}
		test.decode(pcm, codes)
		h := sha256.New()
		for _, v := range pcm {
			h.Write([]byte{byte(v), byte(uint16(v) >> 8)})
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != test.sum {
			t.Errorf("%s decodes to %s, want %s", test.name, got, test.sum)
		}
	}
}

const (
	muSum = "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
	aSum  = "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174"
)

func BenchmarkMuToA(b *testing.B) {
	payload := make([]byte, 160)
	b.ReportAllocs()
	b.SetBytes(160)
	for b.Loop() {
		g711.MuToA(payload)
	}
}
