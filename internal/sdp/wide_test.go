package sdp

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/codec"
)

// wide is our side of a leg with every codec.
func wide(t testing.TB) *Negotiator {
	t.Helper()
	o := ours(t, codec.Opus, codec.G722, codec.PCMU, codec.PCMA)
	o.Codecs = append(o.Codecs, info(t, codec.Event, 8000), info(t, codec.Event, 48000))
	o.Accepts = []codec.Info{info(t, codec.CN, 8000)}
	return New(o)
}

// What our offer says of the wideband codecs: Opus as RFC 7587 §7 writes it, G.722
// with its historical clock (RFC 3551 §4.5.2), events of both clocks.
func TestOfferOfWidebandCodecs(t *testing.T) {
	body, err := wide(t).Offer(SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for _, want := range []string{
		"m=audio 20000 RTP/AVP 111 9 0 8 101 110\r\n",
		"a=rtpmap:111 opus/48000/2\r\n", "a=fmtp:111 maxplaybackrate=48000;stereo=0;useinbandfec=1\r\n",
		"a=rtpmap:9 G722/8000\r\n", "a=rtpmap:101 telephone-event/8000\r\n", "a=rtpmap:110 telephone-event/48000\r\n",
		"a=ptime:20\r\n", "a=maxptime:60\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "CN/8000") {
		t.Error("comfort noise is offered")
	}
}

func TestAnswersOfWidebandCodecs(t *testing.T) {
	for _, c := range []struct {
		name  string
		offer []string
		mline string
		send  string
		event int // clock; 0 = none
		ptime time.Duration
	}{
		{"opus with its own events", []string{"m=audio 5000 RTP/AVP 96 97 0", "a=rtpmap:96 OPUS/48000/2", "a=fmtp:96 useinbandfec=1", "a=rtpmap:97 telephone-event/48000"},
			"audio 20000 RTP/AVP 96 97 0", "opus", 48000, 20 * time.Millisecond},
		{"opus with events of 8 kHz", []string{"m=audio 5000 RTP/AVP 96 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"},
			"audio 20000 RTP/AVP 96 101", "opus", 8000, 20 * time.Millisecond},
		{"both events, G.722 first", []string{"m=audio 5000 RTP/AVP 9 96 110 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:101 telephone-event/8000"},
			"audio 20000 RTP/AVP 9 96 110 101", "G722", 8000, 20 * time.Millisecond},
		{"comfort noise is answered", []string{"m=audio 5000 RTP/AVP 0 13", "a=ptime:30"}, "audio 20000 RTP/AVP 0 13", "PCMU", 0, 30 * time.Millisecond},
		{"long packets", []string{"m=audio 5000 RTP/AVP 9", "a=ptime:60"}, "audio 20000 RTP/AVP 9", "G722", 0, 60 * time.Millisecond},
		{"too long ones", []string{"m=audio 5000 RTP/AVP 9", "a=ptime:100"}, "audio 20000 RTP/AVP 9", "G722", 0, 60 * time.Millisecond},
		{"at most 40 ms", []string{"m=audio 5000 RTP/AVP 9", "a=ptime:60", "a=maxptime:40"}, "audio 20000 RTP/AVP 9", "G722", 0, 40 * time.Millisecond},
		{"mono Opus is another format", []string{"m=audio 5000 RTP/AVP 96 8", "a=rtpmap:96 opus/48000"}, "audio 20000 RTP/AVP 8", "PCMA", 0, 20 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, n, err := wide(t).Answer(lines(c.offer...), SendRecv)
			if err != nil {
				t.Fatal(err)
			}
			if got := mline(t, answer, 0); got != c.mline {
				t.Errorf("answer m=%s, want %s", got, c.mline)
			}
			clock := 0
			if n.Event != nil {
				clock = n.Event.ClockRate
			}
			if n.Send.Name != c.send || clock != c.event || n.Ptime != c.ptime {
				t.Errorf("sends %s with events of %d Hz, %v", n.Send.Name, clock, n.Ptime)
			}
		})
	}
	if _, _, err := wide(t).Answer(lines("m=audio 5000 RTP/AVP 13"), SendRecv); err == nil {
		t.Error("comfort noise alone was accepted")
	}
}
