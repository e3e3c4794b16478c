package g722

// Mode is how many bits of a byte are audio.
type Mode int

// The modes of G.722 §1.2. RTP has the first one only (RFC 3551 §4.5.2).
const (
	Mode64 Mode = 8 // 64 kbit/s
	Mode56 Mode = 7 // 56 kbit/s, the lowest bit of a byte is not audio
	Mode48 Mode = 6 // 48 kbit/s, the lowest two bits are not audio
)

// Decoder turns bytes into PCM. It belongs to one stream. When bytes are lost, go on
// with the next ones: the predictors forget what they missed within some tens of
// milliseconds.
type Decoder struct {
	mode   Mode
	bands  both
	filter synthesis
}

// NewDecoder makes a decoder.
func NewDecoder(mode Mode) *Decoder {
	d := &Decoder{mode: mode}
	d.Reset()
	return d
}

// Reset makes the decoder as new.
func (d *Decoder) Reset() { *d = Decoder{mode: d.mode, bands: fresh()} }

// Decode writes two samples for each byte to dst, which must be long enough.
func (d *Decoder) Decode(dst []int16, src []byte) {
	for len(src) > 0 {
		n := min(len(src), block)
		for i, b := range src[:n] {
			low, high := d.split(int32(b))
			d.filter.put(i, low, high)
		}
		d.filter.run(dst[:2*n])
		dst, src = dst[2*n:], src[n:]
	}
}

// split makes a value of each band of a byte.
func (d *Decoder) split(b int32) (low, high int32) {
	lower, code := &d.bands.lower, b&0x3f
	var fine int32
	switch d.mode {
	case Mode56:
		fine = low5[code>>1]
	case Mode48:
		fine = low4[code>>2]
	default:
		fine = low6[code]
	}
	low = limit15(saturate(lower.estimate + (lower.scale*fine)>>15))
	lower.low(code >> 2)
	return low, d.bands.upper.high(b >> 6)
}

// Delay is how many samples later than the input of an encoder the output of a
// decoder is: both filters together.
const Delay = 22
