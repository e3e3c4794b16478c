package callgen

import "tapedeck/internal/codec/g711"

// Rate is the sample rate of what is said in G.711, in Hz. In other codecs it is
// theirs; Party.Agreed tells.
const Rate = 8000

// Source fills one frame with what is said next and reports whether it said
// anything; after its first false it is not asked again, and that frame is not
// used. It is called from the pacer and must not block.
type Source func(frame []int16) bool

// Speech says µ-law audio once, from its beginning. The last frame is filled up
// with silence.
func Speech(ulaw []byte) Source {
	return func(frame []int16) bool {
		if len(ulaw) == 0 {
			return false
		}
		n := min(len(frame), len(ulaw))
		g711.DecodeMu(frame, ulaw[:n])
		clear(frame[n:])
		ulaw = ulaw[n:]
		return true
	}
}

// PCM says samples once, from their beginning. The last frame is filled up with
// silence.
func PCM(samples []int16) Source {
	return func(frame []int16) bool {
		if len(samples) == 0 {
			return false
		}
		n := copy(frame, samples)
		clear(frame[n:])
		samples = samples[n:]
		return true
	}
}

// Decode turns µ-law audio into samples.
func Decode(ulaw []byte) []int16 {
	out := make([]int16, len(ulaw))
	g711.DecodeMu(out, ulaw)
	return out
}
