package l16

import "encoding/binary"

// Bytes is the size of a sample.
const Bytes = 2

// Decode turns bytes into samples. dst must hold len(src)/Bytes; an odd byte at
// the end is left out.
func Decode(dst []int16, src []byte) {
	for i := range dst[:len(src)/Bytes] {
		dst[i] = int16(binary.BigEndian.Uint16(src[i*Bytes:]))
	}
}

// Encode turns samples into bytes. dst must hold len(src)*Bytes.
func Encode(dst []byte, src []int16) {
	for i, v := range src {
		binary.BigEndian.PutUint16(dst[i*Bytes:], uint16(v))
	}
}
