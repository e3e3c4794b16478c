package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrControl means that a datagram is not an RTCP compound packet.
var ErrControl = errors.New("rtp: malformed RTCP")

// Who reads RTCP goes before other threads and allocates nothing: these are made once.
var (
	errNoControl  = fmt.Errorf("%w: no RTCP header", ErrControl)
	errCutControl = fmt.Errorf("%w: it ends in the middle of a packet", ErrControl)
)

// SenderReport is what an RTCP sender report says (RFC 3550 §6.4.1): the NTP
// time (32.32 fixed point, seconds since 1900) at which the sender's RTP clock
// showed RTPTime, and what it sent until then.
type SenderReport struct {
	Arrival         time.Duration // zero in a report that we send
	SSRC            uint32
	NTP             uint64
	RTPTime         uint32
	Packets, Octets uint32
}

// Reception is one reception report block (RFC 3550 §6.4.1).
type Reception struct {
	SSRC     uint32 // whose packets it speaks of
	Fraction uint8  // lost since the report before, in 1/256
	Lost     int32  // since the beginning; 24 bits on the wire, below zero with duplicates
	Highest  uint32 // extended highest sequence number
	Jitter   uint32 // in clock units
	LastSR   uint32 // middle 32 bits of the NTP time of the last sender report; 0 = none came
	Delay    uint32 // since that report, in 1/65536 s
}

// RoundTrip is the round-trip time that a block about our packets proves, when
// it arrives at an NTP time (RFC 3550 §6.4.1). False when it proves nothing.
func (r *Reception) RoundTrip(ntp uint64) (time.Duration, bool) {
	if r.LastSR == 0 {
		return 0, false
	}
	units := int32(uint32(ntp>>16) - r.LastSR - r.Delay)
	if units < 0 {
		return 0, false
	}
	return time.Duration(units) * time.Second >> 16, true
}

// NTP converts wall time to the NTP format of RTCP (RFC 3550 §4).
func NTP(t time.Time) uint64 {
	const since1900 = 2208988800 // seconds from 1900 to 1970
	sec := uint64(t.Unix() + since1900)
	return sec<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// Report is one RTCP compound packet that we send: a sender report, or a receiver
// report when Sender is nil; SDES with the CNAME; and BYE when we leave
// (RFC 3550 §6.1).
type Report struct {
	SSRC      uint32
	CNAME     string        // at most 255 bytes
	Sender    *SenderReport // its SSRC is not looked at
	Reception *Reception    // nil when nothing was received
	Bye       bool
}

// maxCNAME is what the length of an SDES item can say (RFC 3550 §6.5).
const maxCNAME = 255

// Append writes the report, one datagram, behind b. It allocates nothing when b has room
// for it, which is at most 328 bytes.
func (r *Report) Append(b []byte) ([]byte, error) {
	if len(r.CNAME) > maxCNAME {
		return nil, fmt.Errorf("write RTCP report of SSRC %d: a CNAME of %d bytes, at most %d fit", r.SSRC, len(r.CNAME), maxCNAME)
	}
	blocks := 0
	if r.Reception != nil {
		blocks = 1
	}
	if s := r.Sender; s != nil {
		b = appendHeader(b, blocks, typeSR, senderSize+blockSize*blocks, r.SSRC)
		b = binary.BigEndian.AppendUint64(b, s.NTP)
		b = binary.BigEndian.AppendUint32(b, s.RTPTime)
		b = binary.BigEndian.AppendUint32(b, s.Packets)
		b = binary.BigEndian.AppendUint32(b, s.Octets)
	} else {
		b = appendHeader(b, blocks, typeRR, receiverSize+blockSize*blocks, r.SSRC)
	}
	if r.Reception != nil {
		b = r.Reception.append(b)
	}
	// RFC 3550 §6.5: the list of items ends with at least one zero, and at four bytes.
	size := receiverSize + 2 + len(r.CNAME)
	zeros := 4 - size%4
	b = appendHeader(b, 1, typeSDES, size+zeros, r.SSRC)
	b = append(b, itemCNAME, byte(len(r.CNAME)))
	b = append(b, r.CNAME...)
	for range zeros {
		b = append(b, 0)
	}
	if r.Bye {
		b = appendHeader(b, 1, typeBYE, receiverSize, r.SSRC)
	}
	return b, nil
}

// appendHeader begins a packet of so many bytes, of a count of things, with an SSRC
// (RFC 3550 §6.4.1).
func appendHeader(b []byte, count int, kind byte, size int, ssrc uint32) []byte {
	b = append(b, version<<6|byte(count), kind)
	b = binary.BigEndian.AppendUint16(b, uint16(size/4-1))
	return binary.BigEndian.AppendUint32(b, ssrc)
}

const (
	mask24  = 1<<24 - 1
	maxLost = 1<<23 - 1
)

func (r *Reception) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, r.SSRC)
	// RFC 3550 A.3: clamped, a signed 24-bit number.
	lost := uint32(min(max(r.Lost, -maxLost-1), maxLost)) & mask24
	b = binary.BigEndian.AppendUint32(b, uint32(r.Fraction)<<24|lost)
	b = binary.BigEndian.AppendUint32(b, r.Highest)
	b = binary.BigEndian.AppendUint32(b, r.Jitter)
	b = binary.BigEndian.AppendUint32(b, r.LastSR)
	return binary.BigEndian.AppendUint32(b, r.Delay)
}

func readReception(b []byte) Reception {
	lost := binary.BigEndian.Uint32(b[4:])
	return Reception{
		SSRC: binary.BigEndian.Uint32(b), Fraction: uint8(lost >> 24),
		Lost:    int32(lost<<8) >> 8,
		Highest: binary.BigEndian.Uint32(b[8:]), Jitter: binary.BigEndian.Uint32(b[12:]),
		LastSR: binary.BigEndian.Uint32(b[16:]), Delay: binary.BigEndian.Uint32(b[20:]),
	}
}

// Control is what a received RTCP compound packet says.
type Control struct {
	Senders    []SenderReport
	Receptions []Reception
	Byes       []uint32 // SSRCs that leave
}

// IsControl tells RTCP from RTP on a port that carries both (RFC 5761 §4).
func IsControl(datagram []byte) bool {
	return len(datagram) >= 2 && datagram[0]>>6 == version && datagram[1] >= 192 && datagram[1] <= 223
}

// Read reads an RTCP compound packet that arrived at a time, over what was read before,
// whose room it uses again. Packets of types that say nothing to us (descriptions,
// feedback, application) are passed over. With ErrControl there is what stood before the
// broken packet.
func (c *Control) Read(datagram []byte, at time.Duration) error {
	c.Senders, c.Receptions, c.Byes = c.Senders[:0], c.Receptions[:0], c.Byes[:0]
	if len(datagram) == 0 {
		return errNoControl
	}
	for rest := datagram; len(rest) > 0; {
		if len(rest) < headerSize || !IsControl(rest) {
			return errNoControl
		}
		size := 4 * (1 + int(binary.BigEndian.Uint16(rest[2:])))
		if size > len(rest) || !c.add(rest[:size:size], at) {
			return errCutControl
		}
		rest = rest[size:]
	}
	return nil
}

// RTCP packet types that we read (RFC 3550 §12.1), and the item that we write.
const (
	typeSR   = 200
	typeRR   = 201
	typeSDES = 202
	typeBYE  = 203

	itemCNAME = 1 // RFC 3550 §6.5.1
)

// Sizes of parts in bytes (RFC 3550 §6.4).
const (
	headerSize   = 4  // up to the length
	receiverSize = 8  // and the SSRC
	senderSize   = 28 // and what was sent
	blockSize    = 24
)

// add reads one packet; false when it is shorter than what it says that it has.
func (c *Control) add(b []byte, at time.Duration) bool {
	count := int(b[0] & 0x1f)
	switch b[1] {
	case typeSR:
		if len(b) < senderSize {
			return false
		}
		c.Senders = append(c.Senders, SenderReport{
			Arrival: at, SSRC: binary.BigEndian.Uint32(b[4:]), NTP: binary.BigEndian.Uint64(b[8:]), RTPTime: binary.BigEndian.Uint32(b[16:]),
			Packets: binary.BigEndian.Uint32(b[20:]), Octets: binary.BigEndian.Uint32(b[24:]),
		})
		return c.blocks(b[senderSize:], count)
	case typeRR:
		return len(b) >= receiverSize && c.blocks(b[receiverSize:], count)
	case typeSDES:
		return described(b[headerSize:], count)
	case typeBYE:
		if len(b) < headerSize+4*count {
			return false
		}
		for i := range count {
			c.Byes = append(c.Byes, binary.BigEndian.Uint32(b[headerSize+4*i:]))
		}
	}
	return true
}

func (c *Control) blocks(b []byte, count int) bool {
	if len(b) < blockSize*count {
		return false
	}
	for i := range count {
		c.Receptions = append(c.Receptions, readReception(b[blockSize*i:]))
	}
	return true
}

// described says whether there are as many chunks of items as are said (RFC 3550 §6.5).
func described(b []byte, chunks int) bool {
	for at := 0; chunks > 0; chunks-- {
		at += 4 // the SSRC
		for {
			if at >= len(b) {
				return false
			}
			if b[at] == 0 { // the end, up to the next four bytes
				at = at&^3 + 4
				break
			}
			if at+1 >= len(b) {
				return false
			}
			at += 2 + int(b[at+1])
		}
		if at > len(b) {
			return false
		}
	}
	return true
}
