package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tapedeck/internal/codec"
)

// ErrNoCommonCodec is returned when offer and answer share no audio codec that we
// can speak (only telephone-event or comfort noise in common is not enough), or when
// no audio stream on a transport we speak (RTP/AVP) is offered at all.
// The SIP answer to it is 488 (RFC 3264 §6, RFC 3261 §21.4.26).
var ErrNoCommonCodec = errors.New("sdp: no common audio codec")

// ErrMalformed is returned for a description that cannot be read, or that breaks
// offer/answer so badly (m-lines removed, answer with another number of them) that
// its meaning is lost. The SIP answer to it is 400 or 488.
var ErrMalformed = errors.New("sdp: malformed description")

// ErrRefused is returned by Accept when the peer's answer refused our audio stream
// (port 0, RFC 3264 §6). It is also an ErrNoCommonCodec.
var ErrRefused = fmt.Errorf("sdp: the peer refused the audio stream: %w", ErrNoCommonCodec)

// ErrAddressFamily is returned when the peer wants its media at an IPv6 address and
// ours is of IPv4, or the other way round: nothing could be sent there. The SIP
// answer to it is 488 (RFC 3261 §21.4.26).
var ErrAddressFamily = errors.New("sdp: the peer's media address is of the other IP family")

// ErrState is returned for a step that the model forbids now: an answer without an
// offer of ours open (RFC 3264 §4).
var ErrState = errors.New("sdp: no offer is open")

// Direction is the direction of the media stream as seen by one side (RFC 8866 §6.7).
type Direction uint8

// The four directions. The zero value is SendRecv, the default of RFC 3264 §5.1.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// String gives the attribute's name as it stands in a description.
func (d Direction) String() string {
	switch d {
	case SendOnly:
		return "sendonly"
	case RecvOnly:
		return "recvonly"
	case Inactive:
		return "inactive"
	}
	return "sendrecv"
}

// Sends tells whether a side with this direction sends media.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives tells whether a side with this direction wants to receive media.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// Reverse is the same stream seen from the other side.
func (d Direction) Reverse() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}

// Intersect is what remains when a stream is limited to both directions.
func (d Direction) Intersect(o Direction) Direction {
	return direction(d.Sends() && o.Sends(), d.Receives() && o.Receives())
}

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Codec is one codec of one direction with the payload type it has there.
type Codec struct {
	codec.Info
	// PT is the negotiated payload type, 0..127. It hides Info.PT, which is only the
	// type that we would have chosen.
	PT uint8
	// Fmtp is the peer's a=fmtp value for it, without the payload type; may be empty.
	Fmtp string
}

// Negotiated is the outcome of one finished offer/answer exchange.
type Negotiated struct {
	// Remote is where our RTP goes, RemoteRTCP where our RTCP goes (RFC 3605). The
	// zero value means nowhere: hold by c=0.0.0.0, port 0, or an address given as a
	// host name.
	Remote, RemoteRTCP netip.AddrPort
	// RTCPMux: RTCP shares the RTP port (RFC 5761 §5.1.1).
	RTCPMux bool
	// Send is the codec we send with.
	Send Codec
	// Receive is everything the peer may send, in the order of preference,
	// telephone-event and comfort noise included.
	Receive []Codec
	// Event is the telephone-event we may send (RFC 4733 §2.5); nil means none.
	Event *Codec
	// Ptime is the packet time of what we send; 20 ms unless asked otherwise.
	Ptime time.Duration
	// Direction is ours.
	Direction Direction
	// Held: the peer put us on hold, it does not want to hear us (sendonly or
	// inactive from its side, or the old c=0.0.0.0; RFC 3264 §8.4).
	Held bool
}

// Options describes our side of one leg.
type Options struct {
	// Addr is the address that our descriptions name: where we want RTP; RTCP on the
	// port after it.
	Addr netip.AddrPort
	// Codecs we can decode and encode, in the order of preference. telephone-event
	// belongs to the list when it is wanted.
	Codecs []codec.Info
	// Accepts are formats that we answer with when the peer offers them, and never
	// offer: comfort noise.
	Accepts []codec.Info
	// Ptime is the packet time we ask for; 0 means 20 ms.
	Ptime time.Duration
}
