package codectest

import (
	_ "embed"
	"encoding/binary"
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
