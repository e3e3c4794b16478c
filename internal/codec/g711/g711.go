package g711

// DecodeMu expands µ-law to 16-bit PCM. dst must be at least as long as src.
func DecodeMu(dst []int16, src []byte) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = fromMu[b]
	}
}

// DecodeA expands A-law to 16-bit PCM. dst must be at least as long as src.
func DecodeA(dst []int16, src []byte) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = fromA[b]
	}
}

// EncodeMu compresses 16-bit PCM to µ-law. dst must be at least as long as src.
func EncodeMu(dst []byte, src []int16) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = toMu[uint16(v)>>2]
	}
}

// EncodeA compresses 16-bit PCM to A-law. dst must be at least as long as src.
func EncodeA(dst []byte, src []int16) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = toA[uint16(v)>>4]
	}
}

// MuToA converts µ-law to A-law in place.
func MuToA(b []byte) {
	for i, v := range b {
		b[i] = muToA[v]
	}
}

// AToMu converts A-law to µ-law in place.
func AToMu(b []byte) {
	for i, v := range b {
		b[i] = aToMu[v]
	}
}

// Silence of both laws: the code of the smallest positive value.
const (
	SilenceMu = 0xff
	SilenceA  = 0xd5
)
