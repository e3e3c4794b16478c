package session

import (
	"slices"
	"strings"

	"tapedeck/internal/codec"
	"tapedeck/internal/voice"
)

// destination is where a call to a party is sent.
type destination struct {
	uri                string // SIP request-URI
	kind               voice.CallType
	username, password string // for digest; empty for a party that is no trunk
}

// target finds where a party is reached: a SIP URI directly, a phone number
// over the channel's trunk. A fault is a *voice.Error about member "to".
func target(ch *voice.Channel, to string) (destination, error) {
	if isSIP(to) {
		if strings.ContainsAny(to, " \t\r\n<>\"") {
			return destination{}, badTo("is not a SIP URI")
		}
		if t := transportOf(to); t != "" && t != "udp" && t != "tcp" {
			return destination{}, badTo("has a transport that is not supported: udp and tcp are")
		}
		return destination{uri: to, kind: voice.CallSIP}, nil
	}
	if !isNumber(to) {
		return destination{}, badTo("must be a phone number or a sip: URI")
	}
	if ch.Trunk.URI == "" {
		return destination{}, badTo("is a phone number, but the channel has no trunk: give a sip: URI, or the channel a trunk")
	}
	scheme, rest, _ := strings.Cut(ch.Trunk.URI, ":")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return destination{
		uri: scheme + ":" + to + "@" + rest, kind: voice.CallPSTN,
		username: ch.Trunk.Username, password: ch.Trunk.Password,
	}, nil
}

// transportOf is the transport that a SIP URI asks for, in small letters; "" when
// it leaves that open (RFC 3261 §19.1.1).
func transportOf(uri string) string {
	host := uri[strings.LastIndexByte(uri, '@')+1:]
	for _, p := range strings.Split(host, ";") {
		if name, value, _ := strings.Cut(p, "="); strings.EqualFold(name, "transport") {
			value, _, _ = strings.Cut(value, "?")
			return strings.ToLower(value)
		}
	}
	return ""
}

func isSIP(address string) bool {
	return len(address) > 4 && strings.EqualFold(address[:4], "sip:")
}

// isNumber accepts digits as dialled, without the visual separators of
// RFC 3966 §5.1.1.
func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "+")
	return digits != "" && len(digits) <= 40 && strings.Trim(digits, "0123456789*#") == ""
}

// kindOf is the call type of an address that someone else gave.
func kindOf(address string) voice.CallType {
	if isNumber(address) {
		return voice.CallPSTN
	}
	return voice.CallSIP
}

// codecsOf are the codecs that the session's legs may use: the channel's in
// its order, as far as they can be encoded here, and telephone-event always.
func (s *session) codecsOf() []codec.Info {
	if out := codecsNamed(s.channel.Codecs); len(out) > 0 {
		return out
	}
	return s.m.o.Codecs
}

// codecsNamed are the formats of codecs by name, with the telephone-events of
// their clocks. What cannot be encoded on this machine is left out: a bridge
// could not speak it to the other side. L16 comes with two rates.
func codecsNamed(names []string) []codec.Info {
	var out []codec.Info
	for _, name := range names {
		clocks := []int{0}
		if strings.EqualFold(name, codec.L16) {
			clocks = []int{16000, 8000}
		}
		for _, clock := range clocks {
			if info, ok := codec.Lookup(name, clock); ok && info.Audio() && codec.Encodable(info) {
				out = append(out, info)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	clocks := []int{8000}
	if slices.ContainsFunc(out, func(i codec.Info) bool { return i.Is(codec.Opus) }) {
		clocks = append(clocks, 48000) // RFC 4733 §2.1: events have the clock of the audio
	}
	for _, clock := range clocks {
		if event, ok := codec.Lookup(codec.Event, clock); ok {
			out = append(out, event)
		}
	}
	return out
}

// noises are accepted from a peer that offers them, and never offered.
func noises() []codec.Info {
	noise, _ := codec.Lookup(codec.CN, 8000)
	return []codec.Info{noise}
}

// fileRate is the sample rate of a recording of the session, in Hz: the highest
// among the codecs that its parties may be offered, fixed at the start.
func (s *session) fileRate() int {
	rate := 8000
	for _, c := range s.codecsOf() {
		rate = max(rate, c.SampleRate)
	}
	return rate
}
