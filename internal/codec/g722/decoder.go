package g722

// Mode is how many bits of a byte are audio.
type Mode int

// The modes of G.722 §1.2. RTP has the first one only (RFC 3551 §4.5.2).
const (
	Mode64 Mode = 8 // 64 kbit/s
	Mode56 Mode = 7 // 56 kbit/s, the lowest bit of a byte is not audio
	Mode48 Mode = 6 // 48 kbit/s, the lowest two bits are not audio
)

// Decoder turns bytes into PCM. It belongs to one stream.
type Decoder struct {
	mode     Mode
	bands    both
	filter   synthesis
	analysis analysis // of what is made up for lost bytes
	ahead    int      // samples of it that the analysis holds
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
	d.ahead = 0
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

// Follow takes what was made up in place of lost bytes, so that the predictors
// and filters stay near to where those of the sender are. Decode gives the n-th
// sample when the encoder has n+Delay, so after the made-up sound of a loss it
// takes Delay samples more, of how that sound would go on.
func (d *Decoder) Follow(pcm []int16) {
	if n := min(len(pcm), Delay-d.ahead); n > 0 {
		d.analysis.prime(pcm[:n])
		d.ahead += n
		pcm = pcm[n:]
	}
	for len(pcm) >= 2 {
		n := min(len(pcm)/2, block)
		d.analysis.put(pcm[:2*n])
		for i := range n {
			low, high := d.analysis.at(i)
			code := d.bands.encode(low, high)
			low, high = d.split(int32(code))
			d.filter.put(i, low, high)
		}
		var unheard [2 * block]int16
		d.filter.run(unheard[:2*n])
		d.analysis.done(n)
		pcm = pcm[2*n:]
	}
}
