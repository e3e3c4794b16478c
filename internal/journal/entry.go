package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Kind is what an entry tells.
type Kind uint8

// The kinds of entries. Their numbers are part of the format.
const (
	KindPacket       Kind = 1  // an RTP packet arrived on a track
	KindSenderReport Kind = 2  // an RTCP sender report arrived on a track
	KindTrackOpened  Kind = 3  // Call, Party, Role, Codecs
	KindTrackChanged Kind = 4  // Codecs
	KindTrackClosed  Kind = 5  //
	KindJoined       Kind = 6  // Call and Other hear each other from now on
	KindParted       Kind = 7  // Call and Other no longer hear each other
	KindHeld         Kind = 8  // Call is held (Held) or not held any more
	KindBegin        Kind = 9  // capture begins: sample 0. Wall
	KindPaused       Kind = 10 // the gate is shut. Behavior, Offset
	KindResumed      Kind = 11 // the gate is open again. Offset
	KindGap          Kind = 12 // Lost packets between From and now were not kept
	KindStop         Kind = 13 // capture ended. Cause, Offset
	KindDigit        Kind = 14 // a key was pressed on a track, until now

	lastKind = KindDigit
)

// String names the kind, as "journal inspect" prints it.
func (k Kind) String() string {
	names := [...]string{
		KindPacket: "packet", KindSenderReport: "sender-report",
		KindTrackOpened: "track-opened", KindTrackChanged: "track-changed", KindTrackClosed: "track-closed",
		KindJoined: "joined", KindParted: "parted", KindHeld: "held", KindBegin: "begin",
		KindPaused: "paused", KindResumed: "resumed", KindGap: "gap", KindStop: "stop",
		KindDigit: "digit",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Control reports whether entries of this kind carry a Detail.
func (k Kind) Control() bool { return k >= KindTrackOpened && k <= KindStop }

// onTrack reports whether control entries of this kind speak of one track.
func (k Kind) onTrack() bool {
	return k == KindTrackOpened || k == KindTrackChanged || k == KindTrackClosed
}

// Entry flags.
const (
	flagRepeat = 1 << 0 // a control entry that was written before
	flagMarker = 1 << 1 // the RTP marker bit of a packet
)

// Entry is one fact. Which members hold something depends on Kind.
type Entry struct {
	Kind   Kind
	Repeat bool          // restated: the same entry stands earlier in a whole journal
	At     time.Duration // when it happened, since Header.Start
	Track  uint16        // number of the track, for packets, reports and track entries
	Packet Packet        // KindPacket
	Report SenderReport  // KindSenderReport
	Digit  Digit         // KindDigit
	Detail Detail        // control entries
}

// Packet is an RTP packet: header fields as on the wire (RFC 3550 §5.1) and the
// payload.
type Packet struct {
	Seq     uint16
	Time    uint32
	SSRC    uint32
	PT      uint8
	Marker  bool
	Payload []byte // from a Reader: valid until the next call
}

// SenderReport holds the sender info of an RTCP sender report (RFC 3550 §6.4.1).
type SenderReport struct {
	SSRC            uint32
	NTP             uint64
	RTPTime         uint32
	Packets, Octets uint32
}

// Digit is a key that a party pressed (RFC 4733). Its entry is written when the
// key is let go, which is the entry's time.
type Digit struct {
	Key    byte          // '0' to '9', '*', '#', 'A' to 'D'
	Volume uint8         // below the reference level, dBm0
	From   time.Duration // arrival of its first packet, since Header.Start
	Length time.Duration // how long it was pressed, as the sender says
}

// Codec is one payload type that a track may carry.
type Codec struct {
	PT         uint8  `json:"pt"`
	Name       string `json:"name"` // as in SDP
	ClockRate  int    `json:"clockRate"`
	SampleRate int    `json:"sampleRate,omitempty"`
	Channels   int    `json:"channels,omitempty"`
}

// Detail is what a control entry says. Members that its kind does not need are
// left out.
type Detail struct {
	Track    *uint16       `json:"track,omitempty"`
	Call     string        `json:"call,omitempty"`
	Other    string        `json:"other,omitempty"`
	Party    string        `json:"party,omitempty"`
	Role     string        `json:"role,omitempty"`
	Codecs   []Codec       `json:"codecs,omitempty"`
	Held     bool          `json:"held,omitempty"`
	Wall     time.Time     `json:"wall,omitzero"`
	Behavior string        `json:"behavior,omitempty"`
	Cause    string        `json:"cause,omitempty"`
	Offset   time.Duration `json:"offsetNs,omitempty"` // since Begin
	From     time.Duration `json:"fromNs,omitempty"`   // since Header.Start
	Lost     uint64        `json:"lost,omitempty"`
	Unheard  *Unheard      `json:"unheard,omitempty"`
}

// Unheard counts the datagrams that came to the ports of a track's party and
// were no packets of it, so that they are not in the journal.
type Unheard struct {
	Foreign   uint64 `json:"foreign,omitempty"`   // from somebody else
	Malformed uint64 `json:"malformed,omitempty"` // no RTP or RTCP
	Unknown   uint64 `json:"unknown,omitempty"`   // of a payload type that nobody agreed on
	Overflow  uint64 `json:"overflow,omitempty"`  // dropped by the system, because nobody took them in time
}

func putEntry(dst []byte, k Kind, flags byte, length int, at time.Duration) []byte {
	dst = append(dst, byte(k), flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(length))
	return binary.LittleEndian.AppendUint64(dst, uint64(at))
}

// appendPacket encodes a packet entry. The payload must not be longer than
// MaxPayload.
func appendPacket(dst []byte, at time.Duration, track uint16, p *Packet) []byte {
	var flags byte
	if p.Marker {
		flags = flagMarker
	}
	dst = putEntry(dst, KindPacket, flags, packetSize+len(p.Payload), at)
	dst = binary.LittleEndian.AppendUint16(dst, track)
	dst = binary.LittleEndian.AppendUint16(dst, p.Seq)
	dst = binary.LittleEndian.AppendUint32(dst, p.Time)
	dst = binary.LittleEndian.AppendUint32(dst, p.SSRC)
	dst = append(dst, p.PT)
	return append(dst, p.Payload...)
}

func appendReport(dst []byte, at time.Duration, track uint16, r *SenderReport) []byte {
	dst = putEntry(dst, KindSenderReport, 0, reportSize, at)
	dst = binary.LittleEndian.AppendUint16(dst, track)
	dst = binary.LittleEndian.AppendUint32(dst, r.SSRC)
	dst = binary.LittleEndian.AppendUint64(dst, r.NTP)
	dst = binary.LittleEndian.AppendUint32(dst, r.RTPTime)
	dst = binary.LittleEndian.AppendUint32(dst, r.Packets)
	return binary.LittleEndian.AppendUint32(dst, r.Octets)
}

func appendDigit(dst []byte, at time.Duration, track uint16, d *Digit) []byte {
	dst = putEntry(dst, KindDigit, 0, digitSize, at)
	dst = binary.LittleEndian.AppendUint16(dst, track)
	dst = append(dst, d.Key, d.Volume)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(d.From))
	return binary.LittleEndian.AppendUint64(dst, uint64(d.Length))
}

// Encode returns the bytes of a control entry, to be put into a Block. It fails
// on a kind that is no control entry and on a detail over MaxDetail.
func Encode(e *Entry) ([]byte, error) {
	if !e.Kind.Control() {
		return nil, fmt.Errorf("encode journal entry: %s is no control entry", e.Kind)
	}
	d := e.Detail
	if e.Kind.onTrack() {
		d.Track = &e.Track
	}
	body, err := json.Marshal(&d)
	if err != nil {
		return nil, fmt.Errorf("encode journal entry %s: %w", e.Kind, err)
	}
	if len(body) > MaxDetail {
		return nil, fmt.Errorf("encode journal entry %s: %d bytes of detail, %d are possible", e.Kind, len(body), MaxDetail)
	}
	var flags byte
	if e.Repeat {
		flags = flagRepeat
	}
	out := make([]byte, 0, entrySize+len(body))
	out = putEntry(out, e.Kind, flags, len(body), e.At)
	return append(out, body...), nil
}

// Restated marks the bytes of an encoded control entry as a repetition, in
// place.
func Restated(encoded []byte) { encoded[1] |= flagRepeat }

// decodeEntry reads the entry at the beginning of b into e and returns its
// size. An entry of a kind that is not known is decoded without its body.
func decodeEntry(b []byte, e *Entry) (int, error) {
	if len(b) < entrySize {
		return 0, fmt.Errorf("%w: %d bytes are left of the block, an entry has at least %d", ErrMalformed, len(b), entrySize)
	}
	length := int(binary.LittleEndian.Uint16(b[2:]))
	if len(b) < entrySize+length {
		return 0, fmt.Errorf("%w: entry of %d bytes in the last %d of the block", ErrMalformed, entrySize+length, len(b))
	}
	flags, body := b[1], b[entrySize:entrySize+length]
	*e = Entry{
		Kind:   Kind(b[0]),
		Repeat: flags&flagRepeat != 0,
		At:     time.Duration(binary.LittleEndian.Uint64(b[4:])),
	}
	var err error
	switch {
	case e.Kind == KindPacket:
		err = decodePacket(body, flags, e)
	case e.Kind == KindSenderReport:
		err = decodeReport(body, e)
	case e.Kind == KindDigit:
		err = decodeDigit(body, e)
	case e.Kind.Control():
		err = decodeDetail(body, e)
	}
	return entrySize + length, err
}

func decodePacket(b []byte, flags byte, e *Entry) error {
	if len(b) < packetSize {
		return fmt.Errorf("%w: packet entry of %d bytes", ErrMalformed, len(b))
	}
	e.Track = binary.LittleEndian.Uint16(b)
	e.Packet = Packet{
		Seq:     binary.LittleEndian.Uint16(b[2:]),
		Time:    binary.LittleEndian.Uint32(b[4:]),
		SSRC:    binary.LittleEndian.Uint32(b[8:]),
		PT:      b[12],
		Marker:  flags&flagMarker != 0,
		Payload: b[packetSize:],
	}
	return nil
}

func decodeReport(b []byte, e *Entry) error {
	if len(b) < reportSize {
		return fmt.Errorf("%w: sender report entry of %d bytes", ErrMalformed, len(b))
	}
	e.Track = binary.LittleEndian.Uint16(b)
	e.Report = SenderReport{
		SSRC:    binary.LittleEndian.Uint32(b[2:]),
		NTP:     binary.LittleEndian.Uint64(b[6:]),
		RTPTime: binary.LittleEndian.Uint32(b[14:]),
		Packets: binary.LittleEndian.Uint32(b[18:]),
		Octets:  binary.LittleEndian.Uint32(b[22:]),
	}
	return nil
}

func decodeDigit(b []byte, e *Entry) error {
	if len(b) < digitSize {
		return fmt.Errorf("%w: digit entry of %d bytes", ErrMalformed, len(b))
	}
	e.Track = binary.LittleEndian.Uint16(b)
	e.Digit = Digit{
		Key:    b[2],
		Volume: b[3],
		From:   time.Duration(binary.LittleEndian.Uint64(b[4:])),
		Length: time.Duration(binary.LittleEndian.Uint64(b[12:])),
	}
	return nil
}

func decodeDetail(b []byte, e *Entry) error {
	if err := json.Unmarshal(b, &e.Detail); err != nil {
		return fmt.Errorf("%w: detail of a %s entry: %w", ErrMalformed, e.Kind, err)
	}
	if e.Detail.Track != nil {
		e.Track = *e.Detail.Track
	}
	return nil
}
