// Package codectest holds what every codec has to pass: Run is called from the
// codec's own test.
//
// IO flow: tone → Encoder → Decoder → comparison with the tone.
//
// Only tests import it. It does no I/O and starts no goroutine.
package codectest

import (
	"errors"
	"math"
	"testing"

	"tapedeck/internal/codec"
	"tapedeck/internal/testkit"
)

// Options says what is asked of a codec.
type Options struct {
	Info codec.Info
	// MinSNR is the least signal-to-noise ratio of a 1 kHz tone at −10 dBFS after
	// encoding and decoding, dB.
	MinSNR float64
	// Delay is how many samples the codec is late, per channel.
	Delay int
	// Pooled says that it relies on sync.Pool, which loses things on purpose under
	// the race detector: allocations are not counted there.
	Pooled bool
}

// frameTime is the packet time that all codecs know, in 1/1000 s.
const frameTime = 20

// Run tests encoder and decoder of a format.
func Run(t *testing.T, o Options) {
	t.Run("tone survives", func(t *testing.T) { tone(t, o) })
	t.Run("short buffers are refused", func(t *testing.T) { short(t, o) })
	t.Run("nothing is allocated per frame", func(t *testing.T) { allocations(t, o) })
	t.Run("losses are concealed", func(t *testing.T) { losses(t, o) })
}

func tone(t *testing.T, o Options) {
	enc, dec := build(t, o.Info)
	const frames = 50
	size := o.Info.SampleRate * frameTime / 1000 * o.Info.Channels
	in := Tone(o.Info, 1000, frames*size)
	out := make([]int16, 0, len(in))
	for f := range frames {
		payload, pcm := make([]byte, 4*size), make([]int16, size)
		n, err := enc.Encode(payload, in[f*size:(f+1)*size])
		if err != nil {
			t.Fatalf("encode frame %d: %v", f, err)
		}
		m, err := dec.Decode(pcm, payload[:n])
		if err != nil || m != size {
			t.Fatalf("decode frame %d: %d samples of %d, %v", f, m, size, err)
		}
		out = append(out, pcm...)
	}
	if got := snr(in, out, o.Delay*o.Info.Channels); got < o.MinSNR {
		t.Errorf("the tone comes back with %.1f dB signal to noise, want %.1f", got, o.MinSNR)
	}
}

func short(t *testing.T, o Options) {
	enc, dec := build(t, o.Info)
	pcm := make([]int16, o.Info.SampleRate*frameTime/1000*o.Info.Channels)
	if _, err := enc.Encode(nil, pcm); !errors.Is(err, codec.ErrShortBuffer) {
		t.Errorf("encode into nothing: %v", err)
	}
	payload := make([]byte, 4*len(pcm))
	n, err := enc.Encode(payload, pcm)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	if _, err := dec.Decode(nil, payload[:n]); !errors.Is(err, codec.ErrShortBuffer) {
		t.Errorf("decode into nothing: %v", err)
	}
}

func allocations(t *testing.T, o Options) {
	enc, dec := build(t, o.Info)
	pcm := make([]int16, o.Info.SampleRate*frameTime/1000*o.Info.Channels)
	payload := make([]byte, 4*len(pcm))
	got := testing.AllocsPerRun(100, func() {
		n, err := enc.Encode(payload, pcm)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dec.Decode(pcm, payload[:n]); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 && !(o.Pooled && testkit.Race) {
		t.Errorf("%v allocations per frame", got)
	}
}

// Tone makes n interleaved samples of a sine of so many Hz at −10 dBFS.
func Tone(i codec.Info, hz float64, n int) []int16 {
	const level = 0.316 * math.MaxInt16
	out := make([]int16, n)
	for k := range out {
		at := float64(k/i.Channels) / float64(i.SampleRate)
		out[k] = int16(level * math.Sin(2*math.Pi*hz*at))
	}
	return out
}

func build(t *testing.T, i codec.Info) (codec.Encoder, codec.Decoder) {
	t.Helper()
	enc, err := codec.NewEncoder(i)
	if err != nil {
		t.Fatalf("encoder: %v", err)
	}
	dec, err := codec.NewDecoder(i)
	if err != nil {
		t.Fatalf("decoder: %v", err)
	}
	return enc, dec
}

func snr(in, out []int16, delay int) float64 {
	var signal, noise float64
	for k := range in[:len(in)-delay] {
		s := float64(in[k])
		d := float64(out[k+delay]) - s
		signal += s * s
		noise += d * d
	}
	return 10 * math.Log10(signal/max(noise, 1))
}
