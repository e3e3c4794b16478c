package flac

import "bufio"

// bitReader takes bits from a stream, the highest first, and keeps the checksums
// of the whole bytes that it took. After an error it gives zeros.
type bitReader struct {
	r     *bufio.Reader
	sums  *checksums
	acc   uint64 // bits that were taken from r, at its lower end
	n     uint   // how many those are, below 8 between calls
	crc8  byte
	crc16 uint16
	err   error
}

func (b *bitReader) begin() { b.acc, b.n, b.crc8, b.crc16, b.err = 0, 0, 0, 0, nil }

// read takes so many bits, 33 at the most.
func (b *bitReader) read(width uint) uint64 {
	for b.n < width {
		v, err := b.r.ReadByte()
		if err != nil || b.err != nil {
			if b.err == nil {
				b.err = err
			}
			return 0
		}
		b.crc8 = b.sums.crc8[b.crc8^v]
		b.crc16 = b.crc16<<8 ^ b.sums.crc16[byte(b.crc16>>8)^v]
		b.acc = b.acc<<8 | uint64(v)
		b.n += 8
	}
	b.n -= width
	v := b.acc >> b.n
	b.acc &= 1<<b.n - 1
	return v
}

// signed takes a number in two's complement.
func (b *bitReader) signed(width uint) int64 {
	if width == 0 {
		return 0
	}
	return int64(b.read(width)<<(64-width)) >> (64 - width)
}

// unary counts the zeros before a one; more than most is more than most.
func (b *bitReader) unary(most uint64) uint64 {
	var n uint64
	for n <= most && b.err == nil && b.read(1) == 0 {
		n++
	}
	return n
}

// align passes over the bits that fill up a byte.
func (b *bitReader) align() { b.read(b.n % 8) }

// number passes over a frame's number (RFC 9639 §9.1.5), false when it is none.
func (b *bitReader) number() bool {
	first := byte(b.read(8))
	more := 0
	for bit := byte(0x80); first&bit != 0 && bit != 0; bit >>= 1 {
		more++
	}
	if more == 1 || more == 8 {
		return false
	}
	for range max(more-1, 0) {
		if b.read(8)>>6 != 2 {
			return false
		}
	}
	return true
}

// subframe reads one channel of a frame, RFC 9639 §9.2.
func (r *Reader) subframe(x []int64, width uint) error {
	in := &r.in
	if in.read(1) != 0 {
		return r.damaged("a channel begins with no zero")
	}
	kind := in.read(6)
	var wasted uint
	if in.read(1) == 1 {
		wasted = uint(in.unary(32)) + 1
	}
	if wasted >= width {
		return r.damaged("%d of %d bits are wasted", wasted, width)
	}
	width -= wasted
	var err error
	switch {
	case kind == 0: // constant
		v := in.signed(width)
		for i := range x {
			x[i] = v
		}
	case kind == 1: // as it is
		for i := range x {
			x[i] = in.signed(width)
		}
	case kind >= 8 && kind <= 8+maxFixed:
		err = r.fixed(x, int(kind-8), width)
	case kind >= 32:
		err = r.linear(x, int(kind-31), width)
	default:
		return r.damaged("a channel is of kind %d", kind)
	}
	if err != nil {
		return err
	}
	for i := range x {
		x[i] <<= wasted
	}
	return in.err
}

// warmUp reads the samples before the predicted ones.
func (r *Reader) warmUp(x []int64, order int, width uint) error {
	if order > len(x) {
		return r.damaged("%d samples are predicted from %d", len(x), order)
	}
	for i := range order {
		x[i] = r.in.signed(width)
	}
	return r.in.err
}

// fixed undoes a polynomial predictor, RFC 9639 §9.2.5.
func (r *Reader) fixed(x []int64, order int, width uint) error {
	if err := r.warmUp(x, order, width); err != nil {
		return err
	}
	if err := r.residual(x, order); err != nil {
		return err
	}
	for i := order; i < len(x); i++ {
		switch order {
		case 1:
			x[i] += x[i-1]
		case 2:
			x[i] += 2*x[i-1] - x[i-2]
		case 3:
			x[i] += 3*x[i-1] - 3*x[i-2] + x[i-3]
		case 4:
			x[i] += 4*x[i-1] - 6*x[i-2] + 4*x[i-3] - x[i-4]
		}
	}
	return nil
}

// linear undoes a weighted sum of the last samples, RFC 9639 §9.2.6.
func (r *Reader) linear(x []int64, order int, width uint) error {
	if err := r.warmUp(x, order, width); err != nil {
		return err
	}
	in := &r.in
	precision, shift := uint(in.read(4))+1, in.signed(5)
	if precision == 16 || shift < 0 {
		return r.damaged("weights of %d bits shifted by %d", precision, shift)
	}
	var weights [32]int64
	for i := range order {
		weights[i] = in.signed(precision)
	}
	if err := r.residual(x, order); err != nil {
		return err
	}
	for i := order; i < len(x); i++ {
		var sum int64
		for k, w := range weights[:order] {
			sum += w * x[i-1-k]
		}
		x[i] += sum >> shift
	}
	return nil
}

// residual reads what the predictor left over, RFC 9639 §9.2.7.
func (r *Reader) residual(x []int64, order int) error {
	in := &r.in
	method, partitions := in.read(2), uint(in.read(4))
	if method > 1 {
		return r.damaged("its residual is of kind %d", method)
	}
	width := uint(4 + method)
	size := len(x) >> partitions
	if size<<partitions != len(x) || size < order {
		return r.damaged("%d samples in 2^%d parts, predicted from %d", len(x), partitions, order)
	}
	at := order
	for p := range 1 << partitions {
		end := (p + 1) * size
		k := uint(in.read(width))
		if k == 1<<width-1 { // not coded
			raw := uint(in.read(5))
			for ; at < end; at++ {
				x[at] = in.signed(raw)
			}
			continue
		}
		most := uint64(1<<32-1) >> k
		for ; at < end; at++ {
			q := in.unary(most)
			if q > most {
				return r.damaged("its residual is beyond 32 bits")
			}
			v := q<<k | in.read(k)
			x[at] = int64(v>>1) ^ -int64(v&1)
		}
		if in.err != nil {
			return in.err
		}
	}
	return in.err
}
