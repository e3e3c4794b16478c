package codec_test

import (
	"math"
	"slices"
	"testing"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/codec/codectest"
)

// TestAfterALoss: after a lost frame the sound is as it would have been at once;
// with G.722, whose decoder depends on all that came before, soon.
func TestAfterALoss(t *testing.T) {
	for _, name := range []string{codec.PCMU, codec.PCMA, codec.G722} {
		info := lookup(t, name)
		r := audio.NewResampler(codectest.SpeechRate, info.SampleRate)
		pcm := r.Flush(r.Process(nil, codectest.Speech()))
		size := info.SampleRate / 50
		var packets [][]byte
		enc, err := codec.NewEncoder(info)
		if err != nil {
			t.Fatal(err)
		}
		for frame := range slices.Chunk(pcm[:len(pcm)/size*size], size) {
			b := make([]byte, 2*size)
			n, err := enc.Encode(b, frame)
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, b[:n])
		}
		want := decoded(t, info, packets, func(int) bool { return false })
		got := decoded(t, info, packets, func(i int) bool { return i%11 == 7 })
		for after, least := range map[int]float64{1: 4, 2: 10, 5: 16} {
			var signal, noise float64
			for i := range packets {
				if i%11 == 7+after || after > 3 && i%11 == 7+after-11 {
					for k := i * size; k < (i+1)*size; k++ {
						d := float64(got[k]) - float64(want[k])
						signal, noise = signal+float64(want[k])*float64(want[k]), noise+d*d
					}
				}
			}
			snr := 10 * math.Log10(signal/max(noise, 1))
			t.Logf("%s: %d frames after a loss %.1f dB", name, after, snr)
			if snr < least {
				t.Errorf("%s: %d frames after a loss %.1f dB, want %.0f", name, after, snr, least)
			}
		}
	}
}

func decoded(t *testing.T, info codec.Info, packets [][]byte, lost func(int) bool) []int16 {
	t.Helper()
	dec, err := codec.NewDecoder(info)
	if err != nil {
		t.Fatal(err)
	}
	size := info.SampleRate / 50
	out := make([]int16, len(packets)*size)
	for i, p := range packets {
		frame := out[i*size : (i+1)*size]
		if lost(i) {
			dec.Conceal(frame)
		} else if _, err := dec.Decode(frame, p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
