package callgen

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/rtp"
)

// packetSize is that of a packet of a load: a header and 20 ms of µ-law.
const packetSize = rtp.HeaderSize + loadFrame

// The tables of stamps in µ-law: a byte is two levels, a level is four bits.
//
//nolint:gochecknoglobals // tables, computed once and never written again
var (
	muOfByte  = muPairs()
	muToValue = muValues()
	sumParts  = sums()
)

// muPairs are the two µ-law codes of each byte of a stamp.
func muPairs() (t [256][2]byte) {
	for v := range t {
		g711.EncodeMu(t[v][:], []int16{level(uint64(v) >> 4), level(uint64(v) & 15)})
	}
	return t
}

// muValues are the values of all µ-law codes.
func muValues() (t [256]byte) {
	for code := range t {
		var pcm [1]int16
		g711.DecodeMu(pcm[:], []byte{byte(code)})
		t[code] = byte(value(pcm[0]))
	}
	return t
}

// sums are the parts of a stamp's sum: a CRC is linear, so that of 16 bytes is
// the exclusive or of what each byte does at its place. Without the chain from
// byte to byte it takes a third of the time.
func sums() (t [16][256]uint32) {
	none := crc32.ChecksumIEEE(make([]byte, 16))
	for at := range t {
		for v := range t[at] {
			var b [16]byte
			b[at] = byte(v)
			t[at][v] = crc32.ChecksumIEEE(b[:]) ^ none
		}
	}
	for v := range t[0] {
		t[0][v] ^= none
	}
	return t
}

// newPacket is a packet with all that no frame of any leg changes.
func newPacket() (p [packetSize]byte) {
	for i := range p {
		p[i] = g711.SilenceMu
	}
	p[0], p[1] = 0x80, 0 // version 2; PCMU
	copy(p[rtp.HeaderSize:], muOfByte[stampMagic>>8][:])
	copy(p[rtp.HeaderSize+2:], muOfByte[stampMagic&255][:])
	return p
}

// putMu writes the stamp into a packet of newPacket, as Put and µ-law would.
func (s Stamp) putMu(p *[packetSize]byte) {
	b := p[rtp.HeaderSize : rtp.HeaderSize+StampSamples]
	put := func(at int, v byte) { b[at], b[at+1] = muOfByte[v][0], muOfByte[v][1] }
	put(4, byte(s.Call>>16))
	put(6, byte(s.Call>>8))
	put(8, byte(s.Call))
	b[10] = muOfByte[s.Leg][1]
	put(11, byte(s.Counter>>16))
	put(13, byte(s.Counter>>8))
	put(15, byte(s.Counter))
	for i := range 7 {
		put(17+2*i, byte(s.Sent>>(48-8*i)))
	}
	sum := s.sum()
	for i := range 4 {
		put(31+2*i, byte(sum>>(24-8*i)))
	}
}

// readMu reads the stamp of a µ-law frame, as ReadStamp does of its samples.
func readMu(b []byte) (s Stamp, ok bool) {
	if len(b) < StampSamples {
		return s, false
	}
	b = b[:StampSamples]
	get := func(at int) uint64 { return uint64(muToValue[b[at]]<<4 | muToValue[b[at+1]]) }
	if get(0) != stampMagic>>8 || get(2) != stampMagic&255 {
		return s, false
	}
	s.Call = uint32(get(4)<<16 | get(6)<<8 | get(8))
	s.Leg = muToValue[b[10]]
	s.Counter = uint32(get(11)<<16 | get(13)<<8 | get(15))
	s.Sent = time.Duration(get(17)<<48 | get(19)<<40 | get(21)<<32 | get(23)<<24 | get(25)<<16 | get(27)<<8 | get(29))
	return s, uint64(s.sum()) == get(31)<<24|get(33)<<16|get(35)<<8|get(37)
}

// sum is the CRC-32 of what the stamp says.
func (s Stamp) sum() uint32 {
	c, n, at := s.Call, s.Counter, s.Sent
	return sumParts[0][byte(c)] ^ sumParts[1][byte(c>>8)] ^ sumParts[2][byte(c>>16)] ^ sumParts[3][byte(c>>24)] ^
		sumParts[4][byte(n)] ^ sumParts[5][byte(n>>8)] ^ sumParts[6][byte(n>>16)] ^ sumParts[7][byte(n>>24)] ^
		sumParts[8][byte(at)] ^ sumParts[9][byte(at>>8)] ^ sumParts[10][byte(at>>16)] ^ sumParts[11][byte(at>>24)] ^
		sumParts[12][byte(at>>32)] ^ sumParts[13][byte(at>>40)] ^ sumParts[14][byte(at>>48)] ^ sumParts[15][s.Leg]
}

// outLeg is what a leg sends. It belongs to the thread of the media.
type outLeg struct {
	remote  uint64 // an address as packed makes it; 0 = nowhere (yet)
	call    uint32
	ssrc    uint32
	time    uint32 // of the frame of round 0
	counter uint32 // of the last counted frame
	seq     uint16
	leg     uint8
	counts  bool
}

// frame writes the next packet of a leg.
func (g *outLeg) frame(p *[packetSize]byte, round uint32, at time.Duration) {
	stamp := Stamp{Call: g.call, Leg: g.leg, Sent: at}
	if g.counts {
		g.counter++
		stamp.Counter = g.counter
	}
	binary.BigEndian.PutUint16(p[2:], g.seq)
	binary.BigEndian.PutUint32(p[4:], g.time+round*uint32(loadFrame))
	binary.BigEndian.PutUint32(p[8:], g.ssrc)
	stamp.putMu(p)
	g.seq++
}
