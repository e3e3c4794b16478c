package l16_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/codec/l16"
)

func TestNetworkByteOrder(t *testing.T) {
	pcm := make([]int16, 3)
	l16.Decode(pcm, []byte{0x12, 0x34, 0x80, 0x00, 0xff, 0xff, 0x77})
	if want := []int16{0x1234, -32768, -1}; !slices.Equal(pcm, want) {
		t.Fatalf("got %v, want %v", pcm, want)
	}
}

func TestThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pcm := rapid.SliceOf(rapid.Int16()).Draw(t, "pcm")
		bytes, back := make([]byte, l16.Bytes*len(pcm)), make([]int16, len(pcm))
		l16.Encode(bytes, pcm)
		l16.Decode(back, bytes)
		if !slices.Equal(back, pcm) {
			t.Fatalf("got %v", back)
		}
	})
}
