package codectest

import (
	_ "embed"
	"encoding/binary"
	"slices"
	"testing"
)

//go:embed testdata/speech.s16
var speech []byte

// SpeechRate is the sample rate of Speech, Hz.
const SpeechRate = 16000

// Speech is 5.5 s of two voices, made by espeak-ng (scripts/codec-vectors).
func Speech() []int16 {
	pcm := make([]int16, len(speech)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(speech[2*i:]))
	}
	return pcm
}

// losses checks what every Decoder promises of Conceal: silence at first, a sound
// that goes on and then fades to silence by 60 ms, and as new after Reset.
func losses(t *testing.T, o Options) {
	enc, dec := build(t, o.Info)
	size := o.Info.SampleRate * frameTime / 1000 * o.Info.Channels
	pcm, payload := make([]int16, size), make([]byte, 4*size)
	heard := func() bool { return slices.ContainsFunc(pcm, func(v int16) bool { return v != 0 }) }
	in := Tone(o.Info, 440, 10*size)
	for round := range 2 {
		if dec.Conceal(pcm); heard() {
			t.Fatalf("round %d: concealment of nothing is heard", round)
		}
		for f := range 10 {
			n, err := enc.Encode(payload, in[f*size:(f+1)*size])
			if err != nil {
				t.Fatal(err)
			}
			if f == 6 {
				if dec.Conceal(pcm); !heard() {
					t.Fatalf("round %d: a lost frame is silent", round)
				}
				continue
			}
			if _, err := dec.Decode(pcm, payload[:n]); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			dec.Conceal(pcm)
		}
		if heard() {
			t.Fatalf("round %d: heard after 60 ms", round)
		}
		dec.Reset()
	}
}
