package journal

import "time"

// Block collects entries until they are written together. The room for its
// frame is in front of them, so that one write takes it all.
type Block struct {
	buf []byte // frame, then entries
}

// NewBlock makes a block that takes so many bytes of entries, at most MaxBody.
func NewBlock(size int) *Block {
	size = min(max(size, entrySize+packetSize), MaxBody)
	b := BlockIn(make([]byte, frameSize+size))
	return &b
}

// BlockIn makes an empty block in memory of the caller, which must not be
// smaller than the frame of a block.
func BlockIn(memory []byte) Block { return Block{buf: memory[:frameSize]} }

// Memory is where the block is, all of it.
func (b *Block) Memory() []byte { return b.buf[:cap(b.buf)] }

// None reports whether there is no block: it is the zero value.
func (b *Block) None() bool { return b.buf == nil }

// Len is how many bytes of entries it holds.
func (b *Block) Len() int { return len(b.buf) - frameSize }

// Cap is how many bytes of memory it takes.
func (b *Block) Cap() int { return cap(b.buf) }

// Reset empties it.
func (b *Block) Reset() { b.buf = b.buf[:frameSize] }

// Packet appends a packet entry. It reports false, and changes nothing, when
// the entry does not fit any more.
func (b *Block) Packet(at time.Duration, track uint16, p *Packet) bool {
	if len(b.buf)+entrySize+packetSize+len(p.Payload) > cap(b.buf) {
		return false
	}
	b.buf = appendPacket(b.buf, at, track, p)
	return true
}

// Report appends a sender report entry, or reports false.
func (b *Block) Report(at time.Duration, track uint16, r *SenderReport) bool {
	if len(b.buf)+entrySize+reportSize > cap(b.buf) {
		return false
	}
	b.buf = appendReport(b.buf, at, track, r)
	return true
}

// Digit appends a digit entry, or reports false.
func (b *Block) Digit(at time.Duration, track uint16, d *Digit) bool {
	if len(b.buf)+entrySize+digitSize > cap(b.buf) {
		return false
	}
	b.buf = appendDigit(b.buf, at, track, d)
	return true
}

// Encoded appends entries made by Encode, or reports false.
func (b *Block) Encoded(entries []byte) bool {
	if len(b.buf)+len(entries) > cap(b.buf) {
		return false
	}
	b.buf = append(b.buf, entries...)
	return true
}
