package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Block types and options of the format (draft-ietf-opsawg-pcapng §4).
const (
	sectionBlock   = 0x0a0d0d0a
	interfaceBlock = 1
	packetBlock    = 6

	optComment     = 1
	optApplication = 4 // of the section: who wrote it
	optName        = 2 // of an interface
	optDescription = 3
	optResolution  = 9

	byteOrder   = 0x1a2b3c4d
	linkRaw     = 101 // packets begin with their IPv4 or IPv6 header
	nanoseconds = 9   // resolution of times: 10^-9 s
)

const (
	ipv4Size = 20
	udpSize  = 8
	ipUDP    = 17
	hops     = 64
	// MaxPayload is the longest payload of a packet.
	MaxPayload = 1<<16 - 1 - ipv4Size - udpSize
	maxOption  = 4 << 10 // longer texts are cut
)

// Options describe a capture.
type Options struct {
	Software string // who writes it
	Comment  string // on the whole capture
}

// Stream is an interface of the capture: Wireshark shows its name beside its
// packets.
type Stream struct {
	Name        string
	Description string
}

// Writer writes a capture. It serves one goroutine at a time.
type Writer struct {
	w       io.Writer
	buf     []byte
	streams uint32
}

// NewWriter begins a capture.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	out := &Writer{w: w}
	out.begin(sectionBlock)
	out.buf = binary.LittleEndian.AppendUint32(out.buf, byteOrder)
	out.buf = binary.LittleEndian.AppendUint16(out.buf, 1)          // version 1.0
	out.buf = binary.LittleEndian.AppendUint16(out.buf, 0)          //
	out.buf = binary.LittleEndian.AppendUint64(out.buf, ^uint64(0)) // length of the section: not known
	out.option(optApplication, o.Software)
	out.option(optComment, o.Comment)
	return out, out.end()
}

// Stream adds an interface and returns its number.
func (w *Writer) Stream(s Stream) (int, error) {
	w.begin(interfaceBlock)
	w.buf = binary.LittleEndian.AppendUint16(w.buf, linkRaw)
	w.buf = binary.LittleEndian.AppendUint16(w.buf, 0) // reserved
	w.buf = binary.LittleEndian.AppendUint32(w.buf, 0) // packets are whole
	w.option(optName, s.Name)
	w.option(optDescription, s.Description)
	w.option(optResolution, string([]byte{nanoseconds}))
	if err := w.end(); err != nil {
		return 0, err
	}
	w.streams++
	return int(w.streams) - 1, nil
}

// Packet adds a UDP datagram of a stream, between two IPv4 addresses, with its
// time and what there is to say of it. It fails on a stream that was not added,
// a payload over MaxPayload, or a write that fails.
func (w *Writer) Packet(stream int, at time.Time, from, to netip.AddrPort, payload []byte, comments ...string) error {
	switch {
	case stream < 0 || stream >= int(w.streams):
		return fmt.Errorf("pcapng: there is no stream %d", stream)
	case len(payload) > MaxPayload:
		return fmt.Errorf("pcapng: payload of %d bytes, %d are possible", len(payload), MaxPayload)
	case !from.Addr().Is4() || !to.Addr().Is4():
		return errors.New("pcapng: addresses must be IPv4")
	}
	size := ipv4Size + udpSize + len(payload)
	stamp := uint64(at.UnixNano())
	w.begin(packetBlock)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(stream))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(stamp>>32))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(stamp))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(size)) // captured
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(size)) // on the wire
	w.datagram(from, to, payload)
	w.pad(size)
	for _, c := range comments {
		w.option(optComment, c)
	}
	return w.end()
}

// datagram appends IPv4 header (RFC 791 §3.1), UDP header (RFC 768) and payload.
// A UDP checksum of zero means that there is none.
func (w *Writer) datagram(from, to netip.AddrPort, payload []byte) {
	at := len(w.buf)
	w.buf = append(w.buf, 0x45, 0) // version 4, 5 words
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(ipv4Size+udpSize+len(payload)))
	w.buf = append(w.buf, 0, 0, 0x40, 0, hops, ipUDP, 0, 0) // do not fragment
	src, dst := from.Addr().As4(), to.Addr().As4()
	w.buf = append(append(w.buf, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(w.buf[at+10:], headerChecksum(w.buf[at:at+ipv4Size]))
	w.buf = binary.BigEndian.AppendUint16(w.buf, from.Port())
	w.buf = binary.BigEndian.AppendUint16(w.buf, to.Port())
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(udpSize+len(payload)))
	w.buf = binary.BigEndian.AppendUint16(w.buf, 0)
	w.buf = append(w.buf, payload...)
}

// headerChecksum is the one of RFC 791 §3.1.
func headerChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// begin starts a block: its type, and room for its length.
func (w *Writer) begin(kind uint32) {
	w.buf = binary.LittleEndian.AppendUint32(w.buf[:0], kind)
	w.buf = append(w.buf, 0, 0, 0, 0)
}

func (w *Writer) option(code uint16, text string) {
	if text == "" {
		return
	}
	if len(text) > maxOption {
		text = strings.ToValidUTF8(text[:maxOption], "") // not in the middle of a character
	}
	w.buf = binary.LittleEndian.AppendUint16(w.buf, code)
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(len(text)))
	w.buf = append(w.buf, text...)
	w.pad(len(text))
}

// pad fills up to a multiple of four bytes.
func (w *Writer) pad(size int) {
	for ; size%4 != 0; size++ {
		w.buf = append(w.buf, 0)
	}
}

// end ends the options, sets the length, which stands at both ends, and writes
// the block.
func (w *Writer) end() error {
	w.buf = append(w.buf, 0, 0, 0, 0) // end of options
	size := uint32(len(w.buf) + 4)
	binary.LittleEndian.PutUint32(w.buf[4:], size)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, size)
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}
