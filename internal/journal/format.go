package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Version is the format version that this package writes, and the only one it
// reads.
const Version = 1

// Extension is the end of a journal's file name.
const Extension = ".journal"

// Sizes of the format, in bytes. See docs/format/journal.md.
const (
	preambleSize = 16
	frameSize    = 28
	entrySize    = 12
	packetSize   = 13 // of a packet entry's body before its payload
	reportSize   = 26
	digitSize    = 20

	// MaxBody is the longest body of a block. It bounds what a reader allocates,
	// whatever a length field says.
	MaxBody = 64 << 10
	// MaxPayload is the longest RTP payload that a packet entry holds.
	MaxPayload = 8 << 10
	// MaxDetail is the longest JSON object of a control entry.
	MaxDetail = 4 << 10
)

// Block kinds.
const (
	kindHeader  = 1
	kindEntries = 2
)

const (
	preambleMagic = "TAPEDECK"
	// The first byte is not ASCII and not valid UTF-8, so that no JSON or text
	// holds the magic; audio may, and then the checksums decide.
	blockMagic = "\xf7TDB"
)

// Errors that say what is wrong with a journal.
var (
	ErrNotJournal = errors.New("not a Tapedeck journal")
	ErrVersion    = errors.New("journal format version is not known")
	ErrNoHeader   = errors.New("journal has no whole header block")
	ErrChecksum   = errors.New("checksum does not match")
	ErrMalformed  = errors.New("malformed bytes")
	ErrMissing    = errors.New("blocks are missing")
)

// CorruptError says that bytes of a journal could not be used. Reading can go
// on after it: the reader has found the next good block.
type CorruptError struct {
	Path   string
	Offset int64 // of the first bad byte
	Length int64 // bytes that were skipped
	Err    error // what is wrong
}

// Error says where and what.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal %s: %d bytes at offset %d are corrupt: %v", e.Path, e.Length, e.Offset, e.Err)
}

// Unwrap returns what is wrong.
func (e *CorruptError) Unwrap() error { return e.Err }

// Header says what a journal records. It is written when the file is made, and
// restated now and then, so that one bad block does not make a file useless.
type Header struct {
	Recording  string        `json:"recording"`
	Workspace  string        `json:"workspace,omitempty"`
	Channel    string        `json:"channel,omitempty"`
	Call       string        `json:"call"`
	Stereo     bool          `json:"stereo"`
	MaxLength  time.Duration `json:"maxLengthNs,omitempty"`  // of the file; 0 = no limit
	SampleRate int           `json:"sampleRate"`             // of the file, Hz
	Masked     bool          `json:"digitsMasked,omitempty"` // of keys that are pressed, only the times are kept
	Wall       time.Time     `json:"wall"`                   // when the journal was made
	Start      time.Duration `json:"monotonicNs"`            // the same instant on the recorder's clock; entries count from it
}

// frame is the fixed part in front of a block's body.
type frame struct {
	kind   byte
	flags  byte
	salt   uint32
	seq    uint32
	length uint32
	crc    uint32
}

func (f *frame) put(b []byte) {
	copy(b, blockMagic)
	b[4], b[5], b[6], b[7] = f.kind, f.flags, 0, 0
	binary.LittleEndian.PutUint32(b[8:], f.salt)
	binary.LittleEndian.PutUint32(b[12:], f.seq)
	binary.LittleEndian.PutUint32(b[16:], f.length)
	binary.LittleEndian.PutUint32(b[20:], f.crc)
	binary.LittleEndian.PutUint32(b[24:], checksum(b[:24]))
}

// parseFrame reads a frame. It fails on anything that a writer of this version
// would not have written.
func parseFrame(b []byte) (frame, error) {
	if string(b[:4]) != blockMagic {
		return frame{}, fmt.Errorf("%w: no block begins here", ErrMalformed)
	}
	if binary.LittleEndian.Uint32(b[24:]) != checksum(b[:24]) {
		return frame{}, fmt.Errorf("block frame: %w", ErrChecksum)
	}
	f := frame{
		kind: b[4], flags: b[5],
		salt:   binary.LittleEndian.Uint32(b[8:]),
		seq:    binary.LittleEndian.Uint32(b[12:]),
		length: binary.LittleEndian.Uint32(b[16:]),
		crc:    binary.LittleEndian.Uint32(b[20:]),
	}
	if f.length == 0 || f.length > MaxBody {
		return frame{}, fmt.Errorf("%w: block of %d bytes, 1 to %d are possible", ErrMalformed, f.length, MaxBody)
	}
	if f.flags != 0 {
		return frame{}, fmt.Errorf("%w: block flags %#02x are not known", ErrMalformed, f.flags)
	}
	return f, nil
}

func putPreamble(b []byte) {
	copy(b, preambleMagic)
	binary.LittleEndian.PutUint32(b[8:], Version)
	binary.LittleEndian.PutUint32(b[12:], checksum(b[:12]))
}

// checkPreamble fails with ErrVersion when the file is a journal of another
// version, and with ErrNotJournal otherwise.
func checkPreamble(b []byte) error {
	if len(b) < preambleSize || string(b[:8]) != preambleMagic ||
		binary.LittleEndian.Uint32(b[12:]) != checksum(b[:12]) {
		return ErrNotJournal
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return fmt.Errorf("%w: file has %d, this program reads %d", ErrVersion, v, Version)
	}
	return nil
}

// checksum is CRC-32C (Castagnoli), which processors compute in hardware.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// castagnoli returns the table; crc32 makes it once and recognises it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
