package codec

import "strings"

// Names of the formats, as in SDP.
const (
	PCMU  = "PCMU"
	PCMA  = "PCMA"
	G722  = "G722"
	Opus  = "opus"
	L16   = "L16"
	Event = "telephone-event" // RFC 4733 digits, no audio
	CN    = "CN"              // RFC 3389 comfort noise, no audio
)

// Info says what a format is, whatever payload type a call has for it.
type Info struct {
	Name       string // as in SDP; compared without regard to case, RFC 4855 §3
	PT         uint8  // static payload type, or the one we offer by default
	ClockRate  int    // of the RTP timestamps, Hz
	SampleRate int    // of the audio, Hz; differs from ClockRate for G722 (RFC 3551 §4.5.2)
	Channels   int
}

// Mono is the format with its audio on one channel, where a decoder or an encoder
// can give that whatever the packets hold: Opus has two in SDP always (RFC 7587
// §7), and mixes them itself. Others stay as they are. Decode voices with it.
func (i Info) Mono() Info {
	if i.Is(Opus) {
		i.Channels = 1
	}
	return i
}

// Audio reports whether packets of this format carry audio to be decoded.
func (i Info) Audio() bool {
	return !strings.EqualFold(i.Name, Event) && !strings.EqualFold(i.Name, CN)
}

// Is reports whether the format has this SDP name, whatever its case.
func (i Info) Is(name string) bool { return strings.EqualFold(i.Name, name) }

// Lookup finds a format by its SDP name, in any case, and its RTP clock rate in
// Hz. A clock rate of 0 takes the format's usual one. Of L16 it finds mono. What is found here can be
// negotiated; whether it can be decoded, NewDecoder tells.
func Lookup(name string, clockRate int) (Info, bool) {
	for _, i := range table() {
		if strings.EqualFold(i.Name, name) && (clockRate == 0 || clockRate == i.ClockRate) {
			return i, true
		}
	}
	return Info{}, false
}

// LookupStatic finds a format by a static payload type of RFC 3551 §6, for SDP
// that gives no rtpmap.
func LookupStatic(pt uint8) (Info, bool) {
	const firstDynamic = 96
	for _, i := range table() {
		if i.PT == pt && pt < firstDynamic {
			return i, true
		}
	}
	return Info{}, false
}

// table holds every format we know. Dynamic payload types (96 and up) are our
// own choice: 101 for telephone-event is what nearly every peer uses too.
func table() [14]Info {
	return [...]Info{
		{Name: PCMU, PT: 0, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		{Name: PCMA, PT: 8, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		{Name: G722, PT: 9, ClockRate: 8000, SampleRate: 16000, Channels: 1},
		{Name: Opus, PT: 111, ClockRate: 48000, SampleRate: 48000, Channels: 2},
		{Name: L16, PT: 11, ClockRate: 44100, SampleRate: 44100, Channels: 1},
		{Name: L16, PT: 10, ClockRate: 44100, SampleRate: 44100, Channels: 2},
		{Name: L16, PT: 112, ClockRate: 16000, SampleRate: 16000, Channels: 1},
		{Name: L16, PT: 113, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		{Name: L16, PT: 114, ClockRate: 48000, SampleRate: 48000, Channels: 1},
		{Name: L16, PT: 115, ClockRate: 32000, SampleRate: 32000, Channels: 1},
		{Name: L16, PT: 116, ClockRate: 24000, SampleRate: 24000, Channels: 1},
		{Name: CN, PT: 13, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		{Name: Event, PT: 101, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		{Name: Event, PT: 110, ClockRate: 48000, SampleRate: 48000, Channels: 1},
	}
}
