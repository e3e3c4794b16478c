package sdp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/codec"
)

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func directions() [4]Direction { return [...]Direction{SendRecv, SendOnly, RecvOnly, Inactive} }

// TestHoldMatrixAnswer: every direction that a peer can offer, at either level and by
// c=0.0.0.0, against every direction that we can want (RFC 3264 §6.1, §8.4).
func TestHoldMatrixAnswer(t *testing.T) {
	// answer[offered][want]
	answer := map[Direction]map[Direction]Direction{
		SendRecv: {SendRecv: SendRecv, SendOnly: SendOnly, RecvOnly: RecvOnly, Inactive: Inactive},
		SendOnly: {SendRecv: RecvOnly, SendOnly: Inactive, RecvOnly: RecvOnly, Inactive: Inactive},
		RecvOnly: {SendRecv: SendOnly, SendOnly: SendOnly, RecvOnly: Inactive, Inactive: Inactive},
		Inactive: {SendRecv: Inactive, SendOnly: Inactive, RecvOnly: Inactive, Inactive: Inactive},
	}
	held := map[Direction]bool{SendRecv: false, SendOnly: true, RecvOnly: false, Inactive: true}
	for _, offered := range directions() {
		for _, want := range directions() {
			for _, level := range []string{"media", "session", "both"} {
				t.Run(offered.String()+"/"+want.String()+"/"+level, func(t *testing.T) {
					a := "a=" + offered.String()
					offer := lines("m=audio 4000 RTP/AVP 0", a)
					switch level {
					case "session":
						offer = lines(a, "m=audio 4000 RTP/AVP 0")
					case "both": // the stream's own wins
						offer = lines("a=inactive", "m=audio 4000 RTP/AVP 0", a)
					}
					body, n, err := basic(t).Answer(offer, want)
					if err != nil {
						t.Fatal(err)
					}
					if n.Direction != answer[offered][want] || n.Held != held[offered] {
						t.Errorf("direction %v held %v, want %v %v", n.Direction, n.Held, answer[offered][want], held[offered])
					}
					if !strings.Contains(string(body), "a="+n.Direction.String()+"\r\n") {
						t.Errorf("the answer does not say %v:\n%s", n.Direction, body)
					}
					if !n.Remote.IsValid() {
						t.Error("the address is gone")
					}
				})
			}
		}
	}
}

// TestHoldByZeroAddress is the hold of RFC 2543, at session and at media level.
func TestHoldByZeroAddress(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       Direction
	}{
		{"sendrecv", "a=sendrecv", RecvOnly}, {"sendonly", "a=sendonly", RecvOnly},
		{"recvonly", "a=recvonly", Inactive}, {"inactive", "a=inactive", Inactive},
	} {
		for _, offer := range [][]byte{
			lines("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0", tt.line),
			lines("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 4000 RTP/AVP 0", tt.line),
			lines("m=audio 4000 RTP/AVP 0", "c=IN IP6 ::", tt.line),
		} {
			_, n, err := basic(t).Answer(offer, SendRecv)
			if err != nil {
				t.Fatal(err)
			}
			if n.Direction != tt.want || !n.Held || n.Remote.IsValid() || n.RemoteRTCP.IsValid() {
				t.Errorf("%s: direction %v held %v remote %v, want %v true none", tt.name, n.Direction, n.Held, n.Remote, tt.want)
			}
		}
	}
}

// TestHoldMatrixAccept: every direction that we offer against every answer.
func TestHoldMatrixAccept(t *testing.T) {
	for _, offered := range directions() {
		for _, answered := range directions() {
			t.Run(offered.String()+"/"+answered.String(), func(t *testing.T) {
				n := basic(t)
				if _, err := n.Offer(offered); err != nil {
					t.Fatal(err)
				}
				out, err := n.Accept(lines("m=audio 4000 RTP/AVP 0", "a="+answered.String()))
				if err != nil {
					t.Fatal(err)
				}
				// We send when we offered to and the peer receives; likewise the other way.
				want := direction(offered.Sends() && answered.Receives(), offered.Receives() && answered.Sends())
				if out.Direction != want {
					t.Errorf("direction %v, want %v", out.Direction, want)
				}
				if held := offered.Sends() && !answered.Receives(); out.Held != held {
					t.Errorf("held %v, want %v", out.Held, held)
				}
			})
		}
	}
}

// TestHoldLasts: the peer's hold survives an offer of ours that could not end it.
func TestHoldLasts(t *testing.T) {
	n := basic(t)
	mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0"))
	if out := mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0", "a=sendonly")); !out.Held {
		t.Fatal("not held")
	}
	if _, err := n.Offer(RecvOnly); err != nil {
		t.Fatal(err)
	}
	out, err := n.Accept(lines("m=audio 4000 RTP/AVP 0", "a=sendonly"))
	if err != nil || !out.Held || out.Direction != RecvOnly {
		t.Fatalf("held %v direction %v, %v", out.Held, out.Direction, err)
	}
	if out := mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0")); out.Held || out.Direction != SendRecv {
		t.Fatalf("after the hold: held %v direction %v", out.Held, out.Direction)
	}
}

func mustAnswer(t testing.TB, n *Negotiator, offer []byte) Negotiated {
	t.Helper()
	body, out, err := n.Answer(offer, SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	strict(t, body)
	return out
}

func TestOffer(t *testing.T) {
	n := New(ours(t, codec.PCMU, codec.PCMA, codec.Event))
	n.Prefer("pcma", "nothing")
	b, err := n.Offer(SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	if got := mline(t, b, 0); got != "audio 20000 RTP/AVP 8 0 101" {
		t.Errorf("m=%s", got)
	}
	for _, want := range []string{"c=IN IP4 127.0.0.1\r\n", "a=rtpmap:8 PCMA/8000\r\n", "a=rtpmap:101 telephone-event/8000\r\n", "a=fmtp:101 0-15\r\n", "a=ptime:20\r\n", "a=sendrecv\r\n", "t=0 0\r\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	six := ours(t, codec.Opus)
	six.Addr = netip.MustParseAddrPort("[2001:db8::7]:30000")
	b, err = New(six).Offer(RecvOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"c=IN IP6 2001:db8::7\r\n", "a=rtpmap:111 opus/48000/2\r\n", "a=recvonly\r\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	_, err = New(Options{Addr: six.Addr}).Offer(SendRecv)
	wantErr(t, err, ErrNoCommonCodec)
}

// TestAsymmetricPayloadTypes: each side sends with the other's numbers (RFC 3264 §6.1).
func TestAsymmetricPayloadTypes(t *testing.T) {
	n := New(ours(t, codec.Opus, codec.PCMU, codec.Event))
	if _, err := n.Offer(SendRecv); err != nil {
		t.Fatal(err)
	}
	out, err := n.Accept(lines("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 stereo=1", "a=rtpmap:97 telephone-event/8000"))
	if err != nil {
		t.Fatal(err)
	}
	if show(out.Send) != "opus/96" || out.Event == nil || out.Event.PT != 97 || out.Send.Fmtp != "stereo=1" {
		t.Errorf("send %s event %v fmtp %q", show(out.Send), out.Event, out.Send.Fmtp)
	}
	// our numbers first; the peer's own too, since they mean nothing else here
	if got := show(out.Receive...); got != "opus/111 telephone-event/101 opus/96 telephone-event/97" {
		t.Errorf("receive %s", got)
	}
}

func TestAcceptReadsRealAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []byte
		send   string
		event  int
		want   error
	}{
		{name: "the usual", answer: lines("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000"), send: "PCMU/0", event: 101},
		{name: "another order", answer: lines("m=audio 4000 RTP/AVP 8 0"), send: "PCMA/8", event: -1},
		{name: "event first", answer: lines("m=audio 4000 RTP/AVP 101 8", "a=rtpmap:101 telephone-event/8000"), send: "PCMA/8", event: 101},
		{name: "event without rtpmap", answer: lines("m=audio 4000 RTP/AVP 0 101"), send: "PCMU/0", event: 101},
		{name: "a codec too many", answer: lines("m=audio 4000 RTP/AVP 18 8"), send: "PCMA/8", event: -1},
		{name: "nothing of ours", answer: lines("m=audio 4000 RTP/AVP 18"), want: ErrNoCommonCodec},
		{name: "event alone", answer: lines("m=audio 4000 RTP/AVP 101"), want: ErrNoCommonCodec},
		{name: "refused", answer: lines("m=audio 0 RTP/AVP 0"), want: ErrRefused},
		{name: "a stream too many", answer: lines("m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 99"), want: ErrMalformed},
		{name: "no stream", answer: lines(), want: ErrMalformed},
		{name: "another medium", answer: lines("m=video 4000 RTP/AVP 0"), want: ErrMalformed},
		{name: "another transport", answer: lines("m=audio 4000 RTP/SAVP 0"), want: ErrMalformed},
		{name: "junk", answer: []byte("junk"), want: ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := basic(t)
			if _, err := n.Offer(SendRecv); err != nil {
				t.Fatal(err)
			}
			out, err := n.Accept(tt.answer)
			if tt.want != nil {
				wantErr(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			event := -1
			if out.Event != nil {
				event = int(out.Event.PT)
			}
			if show(out.Send) != tt.send || event != tt.event {
				t.Errorf("send %s event %d, want %s %d", show(out.Send), event, tt.send, tt.event)
			}
		})
	}
	_, err := basic(t).Accept(lines("m=audio 4000 RTP/AVP 0"))
	wantErr(t, err, ErrState)
}

// version reads the o= version of a description.
func version(t testing.TB, b []byte) uint64 { return strict(t, b).Origin.SessionVersion }

// TestVersionRisesOnlyWithAChange is RFC 3264 §8.
func TestVersionRisesOnlyWithAChange(t *testing.T) {
	n := basic(t)
	first, _, err := n.Answer(lines("m=audio 4000 RTP/AVP 0"), SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := n.Answer(lines("m=audio 4000 RTP/AVP 0"), SendRecv)
	if err != nil || string(again) != string(first) {
		t.Fatalf("the same answer is another description:\n%s\n%s", first, again)
	}
	held, _, err := n.Answer(lines("m=audio 4000 RTP/AVP 0", "a=sendonly"), SendRecv)
	if err != nil || version(t, held) != version(t, first)+1 {
		t.Fatalf("version %d after %d", version(t, held), version(t, first))
	}
	if strict(t, held).Origin.SessionID != strict(t, first).Origin.SessionID {
		t.Error("the session id changed")
	}
	offer, err := n.Offer(SendRecv)
	if err != nil || version(t, offer) != version(t, held)+1 {
		t.Fatalf("offer has version %d after %d", version(t, offer), version(t, held))
	}
	if string(n.Local()) != string(offer) {
		t.Error("Local is not the last description")
	}
}

// TestReofferKeepsTheSession: m= lines, payload types and the codec in use stay.
func TestReofferKeepsTheSession(t *testing.T) {
	n := basic(t)
	mustAnswer(t, n, lines("m=video 5000 RTP/AVP 99", "m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000"))
	b, err := n.Offer(SendOnly)
	if err != nil {
		t.Fatal(err)
	}
	if got := mline(t, b, 0); got != "video 0 RTP/AVP 99" {
		t.Errorf("m=%s", got)
	}
	if got := mline(t, b, 1); got != "audio 20000 RTP/AVP 8 0 96" {
		t.Errorf("m=%s", got)
	}
	out, err := n.Accept(lines("m=video 0 RTP/AVP 99", "m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "a=recvonly"))
	if err != nil || out.Direction != SendOnly || out.Held {
		t.Fatalf("%+v %v", out, err)
	}
	// fewer m= lines than before are an error, and change nothing
	_, _, err = n.Answer(lines("m=audio 4000 RTP/AVP 8"), SendRecv)
	wantErr(t, err, ErrMalformed)
	// more are refused one by one
	body, _, err := n.Answer(lines("m=video 0 RTP/AVP 99", "m=audio 4000 RTP/AVP 8", "m=text 11000 RTP/AVP 98"), SendRecv)
	if err != nil || mline(t, body, 2) != "text 0 RTP/AVP 98" {
		t.Fatalf("%v\n%s", err, body)
	}
}

// TestReofferedCodecKeepsItsNumber: a number never changes its meaning (RFC 3264 §8.3.2).
func TestReofferedCodecKeepsItsNumber(t *testing.T) {
	n := New(ours(t, codec.Opus, codec.PCMU, codec.Event))
	mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0 111", "a=rtpmap:111 telephone-event/8000"))
	b, err := n.Offer(SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	if got := mline(t, b, 0); got != "audio 20000 RTP/AVP 0 96 111" {
		t.Errorf("m=%s", got)
	}
}

// TestPreferInAnswer: a preferred codec comes first where the peer offers it.
func TestPreferInAnswer(t *testing.T) {
	n := basic(t)
	n.Prefer(codec.PCMA)
	body, out, err := n.Answer(lines("m=audio 4000 RTP/AVP 0 8"), SendRecv)
	if err != nil || show(out.Send) != "PCMA/8" || mline(t, body, 0) != "audio 20000 RTP/AVP 8 0" {
		t.Fatalf("send %s %v\n%s", show(out.Send), err, body)
	}
	n.Prefer(codec.PCMU)
	b, err := n.Offer(SendRecv)
	if err != nil || mline(t, b, 0) != "audio 20000 RTP/AVP 0 8 101" {
		t.Fatalf("%v\n%s", err, b)
	}
}

func TestStreamSwitchedOff(t *testing.T) {
	n := basic(t)
	mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0"))
	body, out, err := n.Answer(lines("m=audio 0 RTP/AVP 0"), SendRecv)
	if err != nil || mline(t, body, 0) != "audio 0 RTP/AVP 0" {
		t.Fatalf("%v\n%s", err, body)
	}
	if out.Direction != Inactive || !out.Held || out.Remote.IsValid() {
		t.Errorf("%+v", out)
	}
	if out := mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0")); out.Direction != SendRecv || out.Held {
		t.Errorf("%+v", out)
	}
}

// TestWithdraw: a refused offer leaves what stood before, a lost glare too.
func TestWithdraw(t *testing.T) {
	n := basic(t)
	mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 8"))
	if _, err := n.Offer(Inactive); err != nil {
		t.Fatal(err)
	}
	n.Withdraw()
	// the peer refreshes the session: it answers our last standing description
	out, err := n.Accept(lines("m=audio 4000 RTP/AVP 8"))
	if err != nil || out.Direction != SendRecv || show(out.Receive...) != "PCMA/8" {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := n.Offer(Inactive); err != nil {
		t.Fatal(err)
	}
	if out := mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 8")); out.Direction != SendRecv {
		t.Errorf("%+v", out)
	}
	n.Withdraw() // idempotent
}

// TestMuxStays: mux is offered again once it was agreed, and never on our own.
func TestMuxStays(t *testing.T) {
	n := basic(t)
	b, err := n.Offer(SendRecv)
	if err != nil || strings.Contains(string(b), "rtcp-mux") {
		t.Fatalf("%v\n%s", err, b)
	}
	out, err := n.Accept(lines("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"))
	if err != nil || out.RTCPMux {
		t.Fatalf("mux without an offer: %+v %v", out, err)
	}
	mustAnswer(t, n, lines("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"))
	if b, err = n.Offer(SendRecv); err != nil || !strings.Contains(string(b), "a=rtcp-mux") {
		t.Fatalf("%v\n%s", err, b)
	}
}

// TestTwoNegotiatorsAgree: whatever the two sides can do and want, both ends of an
// exchange come to the same result, and descriptions are valid.
func TestTwoNegotiatorsAgree(t *testing.T) {
	names := []string{codec.PCMU, codec.PCMA, codec.G722, codec.Opus, codec.Event, codec.CN}
	rapid.Check(t, func(r *rapid.T) {
		side := func(label, at string) *Negotiator {
			o := Options{Addr: netip.MustParseAddrPort(at)}
			for _, name := range rapid.Permutation(names).Draw(r, label)[:rapid.IntRange(1, len(names)).Draw(r, label+"N")] {
				i, _ := codec.Lookup(name, 0)
				o.Codecs = append(o.Codecs, i)
			}
			return New(o)
		}
		a, b := side("a", "127.0.0.1:20000"), side("b", "127.0.0.2:30000")
		for range rapid.IntRange(1, 6).Draw(r, "rounds") {
			if rapid.Bool().Draw(r, "swap") {
				a, b = b, a
			}
			da := Direction(rapid.IntRange(0, 3).Draw(r, "da"))
			db := Direction(rapid.IntRange(0, 3).Draw(r, "db"))
			offer, err := a.Offer(da)
			if err != nil {
				r.Fatal(err)
			}
			answer, nb, err := b.Answer(offer, db)
			if errors.Is(err, ErrNoCommonCodec) {
				a.Withdraw()
				return
			}
			if err != nil {
				r.Fatal(err)
			}
			na, err := a.Accept(answer)
			if err != nil {
				r.Fatalf("%v\n%s\n%s", err, offer, answer)
			}
			if na.Direction != nb.Direction.Reverse() {
				r.Fatalf("directions %v and %v", na.Direction, nb.Direction)
			}
			if na.Send.Info != nb.Send.Info {
				r.Fatalf("codecs %s and %s", show(na.Send), show(nb.Send))
			}
			if !receives(nb, na.Send) || !receives(na, nb.Send) {
				r.Fatalf("a sends %s, b takes %s; b sends %s, a takes %s", show(na.Send), show(nb.Receive...), show(nb.Send), show(na.Receive...))
			}
			if na.Remote != b.o.Addr || nb.Remote != a.o.Addr {
				r.Fatalf("addresses %v and %v", na.Remote, nb.Remote)
			}
		}
	})
}

func receives(n Negotiated, c Codec) bool {
	for _, r := range n.Receive {
		if r.PT == c.PT && r.Info == c.Info {
			return true
		}
	}
	return false
}

// BenchmarkExchange is what the descriptions of one bridged call cost: an answer for
// the caller, an offer to the callee, and its answer taken.
func BenchmarkExchange(b *testing.B) {
	offer := lines("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20")
	codecs := basic(b).o.Codecs
	b.ReportAllocs()
	for b.Loop() {
		near := New(Options{Addr: netip.MustParseAddrPort("192.0.2.1:20000"), Codecs: codecs})
		_, _, err := near.Answer(offer, SendRecv)
		if err != nil {
			b.Fatal(err)
		}
		far := New(Options{Addr: netip.MustParseAddrPort("192.0.2.1:20002"), Codecs: codecs})
		if _, err := far.Offer(SendRecv); err != nil {
			b.Fatal(err)
		}
		if _, err := far.Accept(offer); err != nil {
			b.Fatal(err)
		}
	}
}
