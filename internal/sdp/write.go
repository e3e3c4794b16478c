package sdp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	pion "github.com/pion/sdp/v3"

	"tapedeck/internal/codec"
)

// write makes our description of the session as it stands: our stream with the given
// codecs (none: switched off), every other m= line refused. The o= version rises only
// when something else changed (RFC 3264 §8); the same description is the same bytes.
func (n *Negotiator) write(codecs []Codec, d Direction, mux bool) ([]byte, error) {
	plain, err := n.marshal(0, codecs, d, mux)
	if err != nil {
		return nil, err
	}
	if n.body != nil && string(plain) == n.plain {
		return bytes.Clone(n.body), nil
	}
	version := n.version
	if n.body != nil {
		version++
	}
	body, err := n.marshal(version, codecs, d, mux)
	if err != nil {
		return nil, err
	}
	n.version, n.plain, n.body = version, string(plain), body
	return bytes.Clone(body), nil
}

func (n *Negotiator) marshal(version uint64, codecs []Codec, d Direction, mux bool) ([]byte, error) {
	family := "IP4"
	if n.o.Addr.Addr().Is6() {
		family = "IP6"
	}
	host := n.o.Addr.Addr().String()
	s := pion.SessionDescription{
		Origin: pion.Origin{
			Username: "-", SessionID: n.session, SessionVersion: version,
			NetworkType: "IN", AddressType: family, UnicastAddress: host,
		},
		SessionName:           "-",
		ConnectionInformation: &pion.ConnectionInformation{NetworkType: "IN", AddressType: family, Address: &pion.Address{Address: host}},
		TimeDescriptions:      []pion.TimeDescription{{}},
	}
	for i, l := range n.lines {
		if i == n.audio && len(codecs) > 0 {
			s.MediaDescriptions = append(s.MediaDescriptions, n.stream(l.proto, codecs, d, mux))
			continue
		}
		s.MediaDescriptions = append(s.MediaDescriptions, l.refused())
	}
	b, err := s.Marshal()
	if err != nil {
		return nil, fmt.Errorf("sdp: cannot write our description for %s: %w", n.o.Addr, err)
	}
	return b, nil
}

// refused is the m= line of a stream that we do not take: same media, transport and
// formats, port 0 (RFC 3264 §6).
func (l line) refused() *pion.MediaDescription {
	formats := l.formats
	if len(formats) == 0 {
		formats = []string{"0"}
	}
	return &pion.MediaDescription{MediaName: pion.MediaName{
		Media: l.kind, Protos: strings.Split(l.proto, "/"), Formats: slices.Clone(formats),
	}}
}

func (n *Negotiator) stream(proto string, codecs []Codec, d Direction, mux bool) *pion.MediaDescription {
	m := &pion.MediaDescription{MediaName: pion.MediaName{
		Media: "audio", Port: pion.RangedPort{Value: int(n.o.Addr.Port())}, Protos: strings.Split(proto, "/"),
	}}
	for _, c := range codecs {
		pt := strconv.Itoa(int(c.PT))
		m.MediaName.Formats = append(m.MediaName.Formats, pt)
		value := pt + " " + c.Name + "/" + strconv.Itoa(c.ClockRate)
		if c.Channels > 1 {
			value += "/" + strconv.Itoa(c.Channels)
		}
		m.Attributes = append(m.Attributes, pion.Attribute{Key: "rtpmap", Value: value})
		if p := parameters(c.Info); p != "" {
			m.Attributes = append(m.Attributes, pion.Attribute{Key: "fmtp", Value: pt + " " + p})
		}
	}
	m.Attributes = append(m.Attributes, pion.Attribute{Key: "ptime", Value: strconv.FormatInt(n.o.Ptime.Milliseconds(), 10)})
	m.Attributes = append(m.Attributes, pion.Attribute{Key: "maxptime", Value: strconv.FormatInt(maxPtime.Milliseconds(), 10)})
	if mux {
		m.Attributes = append(m.Attributes, pion.Attribute{Key: "rtcp-mux"}) // RFC 5761 §5.1.1
	}
	m.Attributes = append(m.Attributes, pion.Attribute{Key: d.String()})
	return m
}

// parameters are what we say of a format that we receive.
func parameters(i codec.Info) string {
	switch {
	case i.Is(codec.Event):
		return "0-15" // RFC 4733 §2.4.1: the sixteen DTMF events
	case i.Is(codec.Opus):
		// RFC 7587 §6.1: we have use for redundancy and for the full band, and hear
		// one channel.
		return "maxplaybackrate=48000;stereo=0;useinbandfec=1"
	}
	return ""
}

// summary says what an offer holds, for an error message.
func (d *description) summary() string {
	parts := make([]string, 0, len(d.media))
	for _, m := range d.media {
		parts = append(parts, fmt.Sprintf("m=%s %d %s %s", m.kind, m.port, m.proto, strings.Join(m.formats, " ")))
	}
	text := strings.Join(parts, "; ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}
