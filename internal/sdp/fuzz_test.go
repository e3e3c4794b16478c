package sdp

import (
	"errors"
	"testing"

	"tapedeck/internal/codec"
)

// FuzzDescription gives any bytes to both sides of the model. Whatever they are: no
// panic, one of our errors or a result that can be used, and our own description stays
// one that a strict parser takes.
func FuzzDescription(f *testing.F) {
	f.Add(lines("m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendonly"))
	f.Add(lines("m=video 5000 RTP/AVP 99", "a=rtpmap:99 H264/90000", "m=audio 4000 RTP/AVPF 0", "a=rtcp-mux", "a=rtcp:1 IN IP4 192.0.2.2"))
	f.Add(lines("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", "a=inactive"))
	f.Add(lines("v=0", "o=- 1 1 IN IP6 ::1", "m=audio 0 RTP/AVP 0", "m=image 6000 udptl t38"))
	f.Add([]byte("v=0\nm=audio 1 RTP/AVP 0\nc=IN IP4 224.2.1.1/127/3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		answerer := New(ours(t, codec.PCMU, codec.PCMA, codec.Opus, codec.Event))
		for range 2 { // as a first offer, and as one that comes again
			_, n, err := answerer.Answer(b, SendRecv)
			check(t, n, err)
		}
		if _, err := answerer.Offer(SendOnly); err != nil {
			t.Fatal(err)
		}
		offerer := basic(t)
		if _, err := offerer.Offer(SendRecv); err != nil {
			t.Fatal(err)
		}
		n, err := offerer.Accept(b)
		check(t, n, err)
		strict(t, offerer.Local())
	})
}

func check(t *testing.T, n Negotiated, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrAddressFamily) && !errors.Is(err, ErrNoCommonCodec) {
			t.Fatalf("an error of no kind: %v", err)
		}
		return
	}
	if n.Ptime < minPtime || n.Ptime > maxPtime {
		t.Fatalf("ptime %v", n.Ptime)
	}
	if n.Direction != Inactive && n.Send.Name == "" {
		t.Fatalf("no codec: %+v", n)
	}
	if n.Direction.Sends() && n.Held {
		t.Fatalf("we send to a peer that holds us: %+v", n)
	}
}
