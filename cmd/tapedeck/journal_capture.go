package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/pcapng"
)

// How tracks look in a capture is told in docs/format/journal.md.
const (
	firstMediaPort = 20000 // of track 0; even for RTP, the odd one above for RTCP
	sipPort        = 5060
	lastOfPorts    = 20000 // tracks that have ports of their own; then they come again
	maxSaid        = 1000  // comments on one packet: Wireshark refuses blocks over 16 MiB
)

// capture turns the entries of a journal into packets.
type capture struct {
	header  journal.Header
	out     *pcapng.Writer
	streams map[uint16]int // interface by track
	opened  map[uint16]journal.Detail
	told    map[uint16]time.Duration // when what was described last of a track was so
	said    []string                 // control entries that go with the next packet
	unsaid  int                      // those beyond maxSaid
	count   int64                    // RTP packets written
	buf     []byte
}

// us is where the parties send to.
func us() netip.Addr { return netip.AddrFrom4([4]byte{198, 19, 255, 254}) }

// partyAddr is the address of a track's party, in the network that is set aside
// for tests (RFC 2544 §C.2.2).
func partyAddr(track uint16) netip.Addr {
	n := uint32(track) + 1
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)})
}

// mediaPort is the RTP port of a track, at both ends.
func mediaPort(track uint16) uint16 { return firstMediaPort + 2*(track%lastOfPorts) }

// writeCapture writes the journal as a capture to a path: whole, or not there.
// Corrupt parts are left out, and the first of them is the error that comes back
// with the file.
func writeCapture(ctx context.Context, path string, j *journal.Reader) (count int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("capture: %w", err)
	}
	buffered := bufio.NewWriter(f)
	count, damage, err := convert(ctx, buffered, j)
	if err == nil {
		err = buffered.Flush()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("capture: %w", err), os.Remove(f.Name()))
	}
	if damage != nil {
		return count, damage
	}
	return count, nil
}

func convert(ctx context.Context, w io.Writer, j *journal.Reader) (count int64, damage *journal.CorruptError, err error) {
	show, finish := progress("writing the capture")
	defer finish()
	if err := j.Rewind(); err != nil {
		return 0, nil, err
	}
	h := j.Header()
	out, err := pcapng.NewWriter(w, pcapng.Options{
		Software: "tapedeck " + version,
		Comment:  fmt.Sprintf("recording %s of call %s", h.Recording, h.Call),
	})
	if err != nil {
		return 0, nil, err
	}
	c := &capture{header: h, out: out, streams: map[uint16]int{}, opened: map[uint16]journal.Detail{}, told: map[uint16]time.Duration{}}
	var e journal.Entry
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return c.count, damage, err
			}
			if show != nil {
				show(j.Stats().Good, j.Size())
			}
		}
		var bad *journal.CorruptError
		switch err := j.Next(&e); {
		case err == nil:
			err = c.entry(&e)
			if err != nil {
				return c.count, damage, err
			}
		case errors.Is(err, io.EOF):
			return c.count, damage, nil
		case errors.As(err, &bad):
			if damage == nil {
				damage = bad
			}
			c.say(bad.Error())
		default:
			return c.count, damage, err
		}
	}
}

func (c *capture) entry(e *journal.Entry) error {
	switch e.Kind {
	case journal.KindPacket:
		c.count++
		return c.packet(e, mediaPort(e.Track), c.rtp(&e.Packet))
	case journal.KindSenderReport:
		return c.packet(e, mediaPort(e.Track)+1, c.rtcp(&e.Report))
	case journal.KindDigit:
		c.say(fmt.Sprintf("track %d: key %q, pressed for %s", e.Track, e.Digit.Key, e.Digit.Length))
		return nil
	}
	_, known := c.opened[e.Track]
	switch {
	case e.Kind == journal.KindTrackOpened && !known, e.Kind == journal.KindTrackChanged && (!e.Repeat || e.At > c.told[e.Track]):
		// A repeated entry is news when the block with the first one was lost.
		return c.describe(e)
	case e.Repeat:
		return nil
	}
	detail, err := json.Marshal(&e.Detail)
	if err != nil {
		return err
	}
	c.say(fmt.Sprintf("%s %s", e.Kind, journal.Visible(detail)))
	return nil
}

// packet writes a datagram from the track's party to us.
func (c *capture) packet(e *journal.Entry, port uint16, payload []byte) error {
	stream, err := c.stream(e.Track)
	if err != nil {
		return err
	}
	return c.out.Packet(stream, c.header.Wall.Add(e.At), netip.AddrPortFrom(partyAddr(e.Track), port), netip.AddrPortFrom(us(), port), payload, c.comments()...)
}

// say keeps a comment for the next packet.
func (c *capture) say(text string) {
	if len(c.said) >= maxSaid {
		c.unsaid++
		return
	}
	c.said = append(c.said, text)
}

// comments takes what there is to say of the next packet.
func (c *capture) comments() []string {
	said := c.said
	if c.unsaid > 0 {
		said = append(said, fmt.Sprintf("and %d more entries", c.unsaid))
	}
	c.said, c.unsaid = nil, 0
	return said
}

// stream is the interface of a track, which names its party.
func (c *capture) stream(track uint16) (int, error) {
	if n, ok := c.streams[track]; ok {
		return n, nil
	}
	d := c.opened[track]
	n, err := c.out.Stream(pcapng.Stream{
		Name:        strings.TrimSpace(fmt.Sprintf("track %d %s %s", track, printable(d.Role), printable(d.Party))),
		Description: "call " + printable(d.Call),
	})
	c.streams[track] = n
	return n, err
}

// rtp makes the packet again (RFC 3550 §5.1): version 2, no padding, no
// extension, no contributing sources.
func (c *capture) rtp(p *journal.Packet) []byte {
	second := p.PT & 0x7f
	if p.Marker {
		second |= 0x80
	}
	b := append(c.buf[:0], 0x80, second)
	b = binary.BigEndian.AppendUint16(b, p.Seq)
	b = binary.BigEndian.AppendUint32(b, p.Time)
	b = binary.BigEndian.AppendUint32(b, p.SSRC)
	c.buf = append(b, p.Payload...)
	return c.buf
}

// rtcp makes a sender report without report blocks (RFC 3550 §6.4.1), and the
// empty source description that must follow it (RFC 3550 §6.1).
func (c *capture) rtcp(r *journal.SenderReport) []byte {
	b := append(c.buf[:0], 0x80, 200, 0, 6)
	b = binary.BigEndian.AppendUint32(b, r.SSRC)
	b = binary.BigEndian.AppendUint64(b, r.NTP)
	b = binary.BigEndian.AppendUint32(b, r.RTPTime)
	b = binary.BigEndian.AppendUint32(b, r.Packets)
	b = binary.BigEndian.AppendUint32(b, r.Octets)
	c.buf = append(b, 0x80, 202, 0, 0)
	return c.buf
}

// describe writes what a track's payload types mean as an offer over SIP, so that
// a reader knows the codecs of dynamic payload types and the ports.
func (c *capture) describe(e *journal.Entry) error {
	d := e.Detail
	if known, ok := c.opened[e.Track]; ok {
		d.Call, d.Party, d.Role = known.Call, known.Party, known.Role
	}
	c.opened[e.Track], c.told[e.Track] = d, max(e.At, c.told[e.Track])
	from, to := partyAddr(e.Track), us()
	body := sessionDescription(from, mediaPort(e.Track), d.Codecs)
	answer := sessionDescription(to, mediaPort(e.Track), d.Codecs)
	stream, err := c.stream(e.Track)
	if err != nil {
		return err
	}
	at := c.header.Wall.Add(e.At)
	a, b := netip.AddrPortFrom(from, sipPort), netip.AddrPortFrom(to, sipPort)
	head := fmt.Sprintf("Via: SIP/2.0/UDP %s:%d;branch=z9hG4bK%d.%d\r\nFrom: <sip:track%d@%s>;tag=%d\r\nTo: <sip:recorder@%s>%%s\r\nCall-ID: %s.%d\r\nCSeq: %d INVITE\r\nContact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: %%d\r\n\r\n%%s",
		from, sipPort, e.Track, e.At, e.Track, from, uint32(e.Track)+1, to, clean(c.header.Recording), e.Track, int64(e.At)/1e6%1e9+1, from)
	if err := c.out.Packet(stream, at, a, b, fmt.Appendf(nil, "INVITE sip:recorder@%s SIP/2.0\r\nMax-Forwards: 70\r\n"+head, to, "", len(body), body), c.comments()...); err != nil {
		return err
	}
	return c.out.Packet(stream, at, b, a, fmt.Appendf(nil, "SIP/2.0 200 OK\r\n"+head, ";tag=1", len(answer), answer))
}

// sessionDescription tells codecs and port as SDP (RFC 8866).
func sessionDescription(addr netip.Addr, port uint16, codecs []journal.Codec) string {
	var types, maps strings.Builder
	for _, k := range codecs {
		fmt.Fprintf(&types, " %d", k.PT)
		fmt.Fprintf(&maps, "a=rtpmap:%d %s/%d", k.PT, clean(k.Name), k.ClockRate)
		if k.Channels > 1 {
			fmt.Fprintf(&maps, "/%d", k.Channels)
		}
		maps.WriteString("\r\n")
	}
	if len(codecs) == 0 {
		types.WriteString(" 0 8")
	}
	return fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP%[3]s\r\n%[4]s", addr, port, &types, &maps)
}

// clean keeps a codec's name to the characters of a token (RFC 8866 §9).
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '/' {
			return r
		}
		return -1
	}, name)
}
