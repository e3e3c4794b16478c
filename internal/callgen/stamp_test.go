package callgen

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/codec/g711"
)

func stamps() *rapid.Generator[Stamp] {
	return rapid.Custom(func(t *rapid.T) Stamp {
		return Stamp{
			Call: rapid.Uint32Max(1<<24-1).Draw(t, "call"), Leg: rapid.Uint8Max(15).Draw(t, "leg"),
			Counter: rapid.Uint32Max(1<<24-1).Draw(t, "counter"),
			Sent:    time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "sent")),
		}
	})
}

// TestStampComesThrough: every way that a frame can take through telephone
// codecs leaves its stamp whole.
func TestStampComesThrough(t *testing.T) {
	mu := func(pcm []int16) {
		b := make([]byte, len(pcm))
		g711.EncodeMu(b, pcm)
		g711.DecodeMu(pcm, b)
	}
	a := func(pcm []int16) {
		b := make([]byte, len(pcm))
		g711.EncodeA(b, pcm)
		g711.DecodeA(pcm, b)
	}
	change := func(pcm []int16) {
		b := make([]byte, len(pcm))
		g711.EncodeMu(b, pcm)
		g711.MuToA(b)
		g711.AToMu(b)
		g711.MuToA(b)
		g711.DecodeA(pcm, b)
	}
	for name, way := range map[string]func([]int16){"linear": func([]int16) {}, "µ-law": mu, "A-law": a, "both": change} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := stamps().Draw(t, "stamp")
				frame := make([]int16, 160)
				want.Put(frame)
				way(frame)
				if got, ok := ReadStamp(frame); !ok || got != want {
					t.Fatalf("read %+v %v, put %+v", got, ok, want)
				}
			})
		})
	}
}

func TestDamagedStampIsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := make([]int16, StampSamples)
		stamps().Draw(t, "stamp").Put(frame)
		at := rapid.IntRange(0, len(frame)-1).Draw(t, "at")
		other := level(value(frame[at]) ^ rapid.Uint64Range(1, 15).Draw(t, "flip"))
		frame[at] = other
		if s, ok := ReadStamp(frame); ok {
			t.Fatalf("a damaged stamp was read as %+v", s)
		}
	})
	if _, ok := ReadStamp(make([]int16, 160)); ok {
		t.Error("silence was read as a stamp")
	}
	if _, ok := ReadStamp(nil); ok {
		t.Error("an empty frame was read as a stamp")
	}
}
