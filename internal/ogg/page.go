package ogg

import "encoding/binary"

// A page, RFC 3533 §6:
//
//	 0  "OggS"
//	 4  version, 0
//	 5  flags: continued packet, first page, last page
//	 6  granule position: samples at the end of the last packet that ends here, −1 for none
//	14  serial number of the stream
//	18  number of the page
//	22  CRC-32, computed with zeros here
//	26  segments
//	27  their sizes, one byte each: a size below 255 ends a packet
const (
	headerSize  = 27
	maxSegments = 255
	maxPage     = headerSize + maxSegments + 255*maxSegments

	atFlags    = 5
	atGranule  = 6
	atSerial   = 14
	atSequence = 18
	atCRC      = 22
	atSegments = 26
)

const (
	flagContinued = 1 << iota
	flagFirst
	flagLast
)

// table is of the CRC with polynomial 0x04c11db7, not reflected, without
// inversions: not the CRC-32 of hash/crc32.
type table [256]uint32

func newTable() *table {
	var t table
	for i := range t {
		r := uint32(i) << 24
		for range 8 {
			r = r<<1 ^ 0x04c11db7*(r>>31)
		}
		t[i] = r
	}
	return &t
}

func (t *table) sum(page []byte) uint32 {
	var crc uint32
	for _, v := range page {
		crc = crc<<8 ^ t[byte(crc>>24)^v]
	}
	return crc
}

// head is the identification header, RFC 7845 §5.1.
type head struct {
	channels, preSkip, inputRate int
}

const (
	headMagic = "OpusHead"
	tagsMagic = "OpusTags"
	headSize  = 19
)

func (h head) append(b []byte) []byte {
	b = append(b, headMagic...)
	b = append(b, 1, byte(h.channels)) // version
	b = binary.LittleEndian.AppendUint16(b, uint16(h.preSkip))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.inputRate))
	return append(b, 0, 0, 0) // gain; mapping family 0: mono, or left and right
}
