package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtcp"
)

// ErrControl means that a datagram is not an RTCP compound packet.
var ErrControl = errors.New("rtp: malformed RTCP")

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

// Marshal writes the report as one datagram.
func (r *Report) Marshal() ([]byte, error) {
	var blocks []rtcp.ReceptionReport
	if r.Reception != nil {
		blocks = []rtcp.ReceptionReport{r.Reception.wire()}
	}
	packets := make([]rtcp.Packet, 0, 3)
	if s := r.Sender; s != nil {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: r.SSRC, NTPTime: s.NTP, RTPTime: s.RTPTime,
			PacketCount: s.Packets, OctetCount: s.Octets, Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: r.SSRC, Reports: blocks})
	}
	packets = append(packets, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: r.SSRC,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: r.CNAME}},
	}}})
	if r.Bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{r.SSRC}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return nil, fmt.Errorf("write RTCP report of SSRC %d: %w", r.SSRC, err)
	}
	return b, nil
}

const (
	mask24  = 1<<24 - 1
	maxLost = 1<<23 - 1
)

func (r *Reception) wire() rtcp.ReceptionReport {
	return rtcp.ReceptionReport{
		SSRC: r.SSRC, FractionLost: r.Fraction,
		// RFC 3550 A.3: clamped, a signed 24-bit number.
		TotalLost:          uint32(min(max(r.Lost, -maxLost-1), maxLost)) & mask24,
		LastSequenceNumber: r.Highest, Jitter: r.Jitter,
		LastSenderReport: r.LastSR, Delay: r.Delay,
	}
}

func reception(w *rtcp.ReceptionReport) Reception {
	return Reception{
		SSRC: w.SSRC, Fraction: w.FractionLost,
		Lost:    int32(w.TotalLost<<8) >> 8,
		Highest: w.LastSequenceNumber, Jitter: w.Jitter,
		LastSR: w.LastSenderReport, Delay: w.Delay,
	}
}

// Control is what a received RTCP compound packet says.
type Control struct {
	Senders    []SenderReport
	Receptions []Reception
	Names      []string // CNAMEs
	Byes       []uint32 // SSRCs that leave
}

// IsControl tells RTCP from RTP on a port that carries both (RFC 5761 §4).
func IsControl(datagram []byte) bool {
	return len(datagram) >= 2 && datagram[0]>>6 == version && datagram[1] >= 192 && datagram[1] <= 223
}

// ParseControl reads an RTCP compound packet that arrived at a time. Packets of
// types that say nothing to us (feedback, application) are passed over. What was
// read before a broken packet is returned along with ErrControl.
func ParseControl(datagram []byte, at time.Duration) (Control, error) {
	var c Control
	if len(datagram) == 0 {
		return c, fmt.Errorf("%w: empty", ErrControl)
	}
	for rest := datagram; len(rest) > 0; {
		if len(rest) < 4 || !IsControl(rest) {
			return c, fmt.Errorf("%w: no RTCP header", ErrControl)
		}
		size := 4 * (1 + int(binary.BigEndian.Uint16(rest[2:])))
		if size > len(rest) {
			return c, fmt.Errorf("%w: a packet of %d bytes in %d", ErrControl, size, len(rest))
		}
		if err := c.add(rest[:size:size], at); err != nil {
			return c, fmt.Errorf("%w: %w", ErrControl, err)
		}
		rest = rest[size:]
	}
	return c, nil
}

// RTCP packet types that we read (RFC 3550 §12.1).
const (
	typeSR   = 200
	typeRR   = 201
	typeSDES = 202
	typeBYE  = 203
)

func (c *Control) add(b []byte, at time.Duration) error {
	switch b[1] {
	case typeSR:
		var p rtcp.SenderReport
		if err := p.Unmarshal(b); err != nil {
			return err
		}
		c.Senders = append(c.Senders, SenderReport{
			Arrival: at, SSRC: p.SSRC, NTP: p.NTPTime, RTPTime: p.RTPTime,
			Packets: p.PacketCount, Octets: p.OctetCount,
		})
		c.blocks(p.Reports)
	case typeRR:
		var p rtcp.ReceiverReport
		if err := p.Unmarshal(b); err != nil {
			return err
		}
		c.blocks(p.Reports)
	case typeSDES:
		var p rtcp.SourceDescription
		if err := p.Unmarshal(b); err != nil {
			return err
		}
		for _, chunk := range p.Chunks {
			for _, item := range chunk.Items {
				if item.Type == rtcp.SDESCNAME {
					c.Names = append(c.Names, item.Text)
				}
			}
		}
	case typeBYE:
		var p rtcp.Goodbye
		if err := p.Unmarshal(b); err != nil {
			return err
		}
		c.Byes = append(c.Byes, p.Sources...)
	}
	return nil
}

func (c *Control) blocks(w []rtcp.ReceptionReport) {
	for i := range w {
		c.Receptions = append(c.Receptions, reception(&w[i]))
	}
}
