package flac

import "math/bits"

// bitWriter collects bits, the highest first (RFC 9639 §5).
type bitWriter struct {
	bytes []byte
	acc   uint64 // the bits not yet in bytes, at its lower end
	n     uint   // how many those are, below 8 between calls
}

func (b *bitWriter) reset() { b.bytes, b.acc, b.n = b.bytes[:0], 0, 0 }

// write appends the lower width bits of v; width is at most 56.
func (b *bitWriter) write(v uint64, width uint) {
	b.acc = b.acc<<width | v&(1<<width-1)
	b.n += width
	for b.n >= 8 {
		b.n -= 8
		b.bytes = append(b.bytes, byte(b.acc>>b.n))
	}
}

// signed appends a number in two's complement.
func (b *bitWriter) signed(v int64, width uint) { b.write(uint64(v), width) }

// rice appends a zigzag-coded number: its upper part in unary, k bits below.
func (b *bitWriter) rice(v uint32, k uint) {
	q := uint(v >> k)
	for q >= 32 {
		b.write(0, 32)
		q -= 32
	}
	b.write(1, q+1)
	b.write(uint64(v), k)
}

// align fills up the last byte with zeros.
func (b *bitWriter) align() {
	if b.n > 0 {
		b.write(0, 8-b.n)
	}
}

// number appends a frame number in the way of UTF-8, which here goes up to 36
// bits (RFC 9639 §9.1.5).
func (b *bitWriter) number(v uint64) {
	if v < 0x80 {
		b.write(v, 8)
		return
	}
	size := uint(bits.Len64(v)+3) / 5 // bytes: n carry 5n+1 bits
	b.write(uint64(0xff00)>>size&0xff|v>>(6*(size-1)), 8)
	for i := int(size) - 2; i >= 0; i-- {
		b.write(0x80|v>>(6*uint(i))&0x3f, 8)
	}
}

// checksums are the tables of the two CRCs, RFC 9639 §9.1.8 and §9.3.
type checksums struct {
	crc8  [256]byte   // x^8+x^2+x+1
	crc16 [256]uint16 // x^16+x^15+x^2+1
}

func newChecksums() *checksums {
	var c checksums
	for i := range 256 {
		a, b := byte(i), uint16(i)<<8
		for range 8 {
			a = a<<1 ^ 0x07*(a>>7)
			b = b<<1 ^ 0x8005*(b>>15)
		}
		c.crc8[i], c.crc16[i] = a, b
	}
	return &c
}

func (c *checksums) of8(b []byte) byte {
	var crc byte
	for _, v := range b {
		crc = c.crc8[crc^v]
	}
	return crc
}

func (c *checksums) of16(b []byte) uint16 {
	var crc uint16
	for _, v := range b {
		crc = crc<<8 ^ c.crc16[byte(crc>>8)^v]
	}
	return crc
}
