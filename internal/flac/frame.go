package flac

// encoder makes frames of blocks.
type encoder struct {
	format Format
	sums   *checksums
	bits   bitWriter
	mid    []int32
	side   []int32
	plans  [4]plan // left or any, right, mid, side
	search search
}

func newEncoder(f Format) encoder {
	e := encoder{format: f, sums: newChecksums(), search: newSearch()}
	if f.Channels == 2 {
		e.mid, e.side = make([]int32, blockSize), make([]int32, blockSize)
	}
	return e
}

// Channel assignments of two channels, RFC 9639 §9.1.3.
const (
	leftRight = 1
	leftSide  = 8
	sideRight = 9
	midSide   = 10
)

// frame codes n samples per channel. What it returns is good until the next call.
func (e *encoder) frame(number uint64, block [][]int32, n int) []byte {
	e.bits.reset()
	if len(block) == 2 {
		e.stereo(number, block[0][:n], block[1][:n])
	} else {
		e.header(number, uint64(len(block)-1), n)
		for _, samples := range block {
			e.search.plan(&e.plans[0], samples[:n], width)
			e.subframe(&e.plans[0])
		}
	}
	e.bits.align()
	e.bits.write(uint64(e.sums.of16(e.bits.bytes)), 16)
	return e.bits.bytes
}

// stereo codes two channels in the cheapest of four ways: as they are, one and
// the difference, or the mean and the difference.
func (e *encoder) stereo(number uint64, left, right []int32) {
	mid, side := e.mid[:len(left)], e.side[:len(left)]
	for i, l := range left {
		mid[i], side[i] = (l+right[i])>>1, l-right[i]
	}
	// Which way that is, the second differences tell at little cost.
	l, r, m, s := roughness(left), roughness(right), roughness(mid), roughness(side)
	way, least := uint64(leftRight), l+r
	for _, other := range []struct{ way, cost uint64 }{{leftSide, l + s}, {sideRight, s + r}, {midSide, m + s}} {
		if other.cost < least {
			way, least = other.way, other.cost
		}
	}
	first, second, firstWidth, secondWidth := left, right, uint(width), uint(width)
	switch way { // the difference needs one bit more
	case leftSide:
		second, secondWidth = side, width+1
	case sideRight:
		first, firstWidth = side, width+1
	case midSide:
		first, second, secondWidth = mid, side, width+1
	}
	e.header(number, way, len(left))
	e.search.plan(&e.plans[0], first, firstWidth)
	e.subframe(&e.plans[0])
	e.search.plan(&e.plans[1], second, secondWidth)
	e.subframe(&e.plans[1])
}

// roughness is the sum of the second differences.
func roughness(x []int32) uint64 {
	var sum uint64
	for i := 2; i < len(x); i++ {
		sum += uint64(abs(x[i] - 2*x[i-1] + x[i-2]))
	}
	return sum
}

func abs(v int32) uint32 {
	if v < 0 {
		return uint32(-v)
	}
	return uint32(v)
}

// header writes the head of a frame, RFC 9639 §9.1.
func (e *encoder) header(number, channels uint64, n int) {
	const (
		sync      = 0xfff8 // and: every block has the same size, but the last
		size4096  = 12
		size16bit = 7
		width16   = 4
	)
	b := &e.bits
	b.write(sync, 16)
	size := uint64(size4096)
	if n != blockSize {
		size = size16bit
	}
	b.write(size, 4)
	b.write(rateCode(e.format.SampleRate), 4)
	b.write(channels, 4)
	b.write(width16, 3)
	b.write(0, 1)
	b.number(number)
	if size == size16bit {
		b.write(uint64(n-1), 16)
	}
	b.write(uint64(e.sums.of8(b.bytes)), 8)
}

// rateCode is the short form of a sample rate (RFC 9639 §9.1.2); 0 is "see the
// header of the file".
func rateCode(hz int) uint64 {
	switch hz {
	case 8000:
		return 4
	case 16000:
		return 5
	case 22050:
		return 6
	case 24000:
		return 7
	case 32000:
		return 8
	case 44100:
		return 9
	case 48000:
		return 10
	case 96000:
		return 11
	}
	return 0
}

// subframe writes one channel as planned, RFC 9639 §9.2.
func (e *encoder) subframe(p *plan) {
	b := &e.bits
	switch p.kind {
	case constant:
		b.write(0, 8)
		b.signed(int64(p.samples[0]), p.width)
		return
	case verbatim:
		b.write(1<<1, 8)
		for _, v := range p.samples {
			b.signed(int64(v), p.width)
		}
		return
	case fixed:
		b.write(uint64(8+p.order)<<1, 8)
	case linear:
		b.write(uint64(32+p.order-1)<<1, 8)
	}
	for _, v := range p.samples[:p.order] {
		b.signed(int64(v), p.width)
	}
	if p.kind == linear {
		b.write(precision-1, 4)
		b.signed(int64(p.shift), 5)
		for _, c := range p.coefs[:p.order] {
			b.signed(int64(c), precision)
		}
	}
	p.rice.write(b, p.residual, p.order, len(p.samples))
}
