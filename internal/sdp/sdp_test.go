package sdp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"

	"tapedeck/internal/codec"
)

func info(t testing.TB, name string, clock int) codec.Info {
	t.Helper()
	i, ok := codec.Lookup(name, clock)
	if !ok {
		t.Fatalf("codec %s/%d is unknown", name, clock)
	}
	return i
}

func ours(t testing.TB, names ...string) Options {
	t.Helper()
	o := Options{Addr: netip.MustParseAddrPort("127.0.0.1:20000")}
	for _, n := range names {
		o.Codecs = append(o.Codecs, info(t, n, 0))
	}
	return o
}

func basic(t testing.TB) *Negotiator {
	t.Helper()
	return New(ours(t, codec.PCMU, codec.PCMA, codec.Event))
}

// lines makes a description of the lines, with the usual head when it is missing.
func lines(l ...string) []byte {
	if len(l) == 0 || !strings.HasPrefix(l[0], "v=") {
		l = append([]string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"}, l...)
	}
	return []byte(strings.Join(l, "\r\n") + "\r\n")
}

// strict reads a description with pion's strict parser: what we write must pass it.
func strict(t testing.TB, b []byte) *pion.SessionDescription {
	t.Helper()
	var s pion.SessionDescription
	if err := s.Unmarshal(b); err != nil {
		t.Fatalf("our description is not valid: %v\n%s", err, b)
	}
	return &s
}

// mline gives the i-th m= line's text of a description.
func mline(t testing.TB, b []byte, i int) string {
	t.Helper()
	s := strict(t, b)
	if i >= len(s.MediaDescriptions) {
		t.Fatalf("no m= line %d in\n%s", i, b)
	}
	return s.MediaDescriptions[i].MediaName.String()
}

// TestAnswerReadsRealOffers: what the world sends, and what we make of it.
func TestAnswerReadsRealOffers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		offer  []byte
		mlines []string // of the answer
		send   string   // codec/PT that we send with
		recv   string
		event  int // PT, -1 none
		remote string
		rtcp   string
		ptime  int
		mux    bool
	}{
		{
			name:   "static types without rtpmap",
			offer:  lines("m=audio 4000 RTP/AVP 8 0"),
			mlines: []string{"audio 20000 RTP/AVP 8 0"},
			send:   "PCMA/8", recv: "PCMA/8 PCMU/0", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "softphone with everything",
			offer:  lines("m=audio 4000 RTP/AVP 96 9 0 8 101", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:30", "a=rtcp:4444"),
			mlines: []string{"audio 20000 RTP/AVP 0 8 101"},
			send:   "PCMU/0", recv: "PCMU/0 PCMA/8 telephone-event/101", event: 101, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4444", ptime: 30,
		}, {
			name:   "event on another type, names in lower case",
			offer:  lines("m=audio 4000 RTP/AVP 0 97", "a=rtpmap:0 pcmu/8000/1", "a=rtpmap:97 Telephone-Event/8000"),
			mlines: []string{"audio 20000 RTP/AVP 0 97"},
			send:   "PCMU/0", recv: "PCMU/0 telephone-event/97", event: 97, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "PCMU on a dynamic type",
			offer:  lines("m=audio 4000 RTP/AVP 100", "a=rtpmap:100 PCMU/8000"),
			mlines: []string{"audio 20000 RTP/AVP 100"},
			send:   "PCMU/100", recv: "PCMU/100", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "static number with another meaning",
			offer:  lines("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 PCMU/16000"),
			mlines: []string{"audio 20000 RTP/AVP 8"},
			send:   "PCMA/8", recv: "PCMA/8", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "video before audio, fax after",
			offer:  lines("m=video 5000 RTP/AVP 99", "a=rtpmap:99 H264/90000", "m=audio 4000 RTP/AVP 0", "m=image 6000 udptl t38"),
			mlines: []string{"video 0 RTP/AVP 99", "audio 20000 RTP/AVP 0", "image 0 udptl t38"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "secure and plain audio",
			offer:  lines("m=audio 4002 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", "m=audio 4000 RTP/AVP 0"),
			mlines: []string{"audio 0 RTP/SAVP 0", "audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "two audio streams, the first switched off",
			offer:  lines("m=audio 0 RTP/AVP 0", "m=audio 4000/2 RTP/AVP 8"),
			mlines: []string{"audio 0 RTP/AVP 0", "audio 20000 RTP/AVP 8"},
			send:   "PCMA/8", recv: "PCMA/8", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 20,
		}, {
			name:   "two audio streams, the first without a common codec",
			offer:  lines("m=audio 4000 RTP/AVP 18", "m=audio 4002 RTP/AVP 8"),
			mlines: []string{"audio 0 RTP/AVP 18", "audio 20000 RTP/AVP 8"},
			send:   "PCMA/8", recv: "PCMA/8", event: -1, remote: "192.0.2.1:4002", rtcp: "192.0.2.1:4003", ptime: 20,
		}, {
			name:   "c= of the stream wins, rtcp elsewhere",
			offer:  lines("m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.9", "a=rtcp:7001 IN IP4 192.0.2.10"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.9:4000", rtcp: "192.0.2.10:7001", ptime: 20,
		}, {
			name:   "IPv6",
			offer:  lines("v=0", "o=- 1 1 IN IP6 2001:db8::1", "s=-", "t=0 0", "m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::2"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "[2001:db8::2]:4000", rtcp: "[2001:db8::2]:4001", ptime: 20,
		}, {
			name:   "mux, AVPF, maxptime below ptime",
			offer:  lines("m=audio 4000 RTP/AVPF 0", "a=rtcp-mux", "a=ptime:40", "a=maxptime:30"),
			mlines: []string{"audio 20000 RTP/AVPF 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4000", ptime: 30, mux: true,
		}, {
			name:   "senseless ptimes are brought into 10 to 60 ms",
			offer:  lines("a=ptime:200", "m=audio 4000 RTP/AVP 0"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", ptime: 60,
		}, {
			name:   "LF only, no s= and t=, o= of another kind, attributes before c=",
			offer:  []byte("v=0\no=Cisco-SIPUA 99999999999999999999999 0 IN IP4 192.0.2.3\nm=audio 4000 RTP/AVP 0\na=sendrecv\nc=IN IP4 192.0.2.7\n\n"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.7:4000", rtcp: "192.0.2.7:4001", ptime: 20,
		}, {
			name:   "no c= at all means the o= address",
			offer:  lines("v=0", "o=- 1 1 IN IP4 192.0.2.5", "s=-", "t=0 0", "m=audio 4000 RTP/AVP 0"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, remote: "192.0.2.5:4000", rtcp: "192.0.2.5:4001", ptime: 20,
		}, {
			name:   "a host name gives no address",
			offer:  lines("m=audio 4000 RTP/AVP 0", "c=IN IP4 media.example.com"),
			mlines: []string{"audio 20000 RTP/AVP 0"},
			send:   "PCMU/0", recv: "PCMU/0", event: -1, ptime: 20,
		}, {
			name:   "the same codec and type twice, junk formats",
			offer:  lines("m=audio 65535 RTP/AVP 0 0 x 300 96 8", "a=rtpmap:96 PCMU/8000", "a=rtpmap:junk", "a=rtpmap:97 X", "a=fmtp:", "a=ptime:-1", "a=rtcp:"),
			mlines: []string{"audio 20000 RTP/AVP 0 8"},
			send:   "PCMU/0", recv: "PCMU/0 PCMA/8", event: -1, remote: "192.0.2.1:65535", rtcp: "", ptime: 20,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := ours(t, codec.PCMU, codec.PCMA, codec.Event)
			if strings.HasPrefix(tt.remote, "[") {
				o.Addr = netip.MustParseAddrPort("[::1]:20000")
			}
			answer, n, err := New(o).Answer(tt.offer, SendRecv)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.mlines {
				if i > 0 && strings.HasPrefix(want, "image") || strings.Contains(want, "udptl") {
					if !strings.Contains(string(answer), "m="+want+"\r\n") {
						t.Errorf("no m=%s in\n%s", want, answer)
					}
					continue
				}
				if !strings.Contains(string(answer), "m="+want+"\r\n") {
					t.Errorf("m-line %d is not %q in\n%s", i, want, answer)
				}
			}
			if got := strings.Count(string(answer), "m="); got != len(tt.mlines) {
				t.Errorf("the answer has %d m= lines, want %d", got, len(tt.mlines))
			}
			event := -1
			if n.Event != nil {
				event = int(n.Event.PT)
			}
			got := fmt.Sprintf("%s | %s | %d | %s | %s | %d | %v", show(n.Send), show(n.Receive...), event, addr(n.Remote), addr(n.RemoteRTCP), n.Ptime.Milliseconds(), n.RTCPMux)
			want := fmt.Sprintf("%s | %s | %d | %s | %s | %d | %v", tt.send, tt.recv, tt.event, tt.remote, tt.rtcp, tt.ptime, tt.mux)
			if got != want {
				t.Errorf("negotiated\n got %s\nwant %s", got, want)
			}
			if tt.mux != strings.Contains(string(answer), "a=rtcp-mux") {
				t.Errorf("mux in the answer is not %v:\n%s", tt.mux, answer)
			}
		})
	}
}

func show(codecs ...Codec) string {
	parts := make([]string, 0, len(codecs))
	for _, c := range codecs {
		parts = append(parts, fmt.Sprintf("%s/%d", c.Name, c.PT))
	}
	return strings.Join(parts, " ")
}

func addr(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestAnswerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		offer []byte
		want  error
	}{
		{"nothing", nil, ErrMalformed},
		{"not SDP", []byte("hello"), ErrMalformed},
		{"no version", []byte("m=audio 1 RTP/AVP 0\r\n"), ErrMalformed},
		{"another version", lines("v=1", "m=audio 1 RTP/AVP 0"), ErrMalformed},
		{"no stream", lines(), ErrMalformed},
		{"m= cut short", lines("m=audio 4000"), ErrMalformed},
		{"port too high", lines("m=audio 70000 RTP/AVP 0"), ErrMalformed},
		{"port below zero", lines("m=audio -1 RTP/AVP 0"), ErrMalformed},
		{"c= cut short", lines("c=IN IP4", "m=audio 4000 RTP/AVP 0"), ErrMalformed},
		{"c= of an unknown net", lines("c=ATM NSAP 1", "m=audio 4000 RTP/AVP 0"), ErrMalformed},
		{"no address anywhere", lines("v=0", "o=- 1 1 IN IP4 host.example", "m=audio 4000 RTP/AVP 0"), ErrMalformed},
		{"too big", append(lines("m=audio 4000 RTP/AVP 0"), make([]byte, maxBytes)...), ErrMalformed},
		{"too many lines", []byte("v=0\n" + strings.Repeat("a=x\n", maxLines+1)), ErrMalformed},
		{"too many streams", lines(strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", maxMedia+1)), ErrMalformed},
		{"video only", lines("m=video 4000 RTP/AVP 99"), ErrNoCommonCodec},
		{"secure only", lines("m=audio 4000 RTP/SAVP 0"), ErrNoCommonCodec},
		{"WebRTC", lines("m=audio 9 UDP/TLS/RTP/SAVPF 111 0"), ErrNoCommonCodec},
		{"no common codec", lines("m=audio 4000 RTP/AVP 18 3"), ErrNoCommonCodec},
		{"telephone-event alone", lines("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), ErrNoCommonCodec},
		{"port 0 in a first offer", lines("m=audio 0 RTP/AVP 0"), ErrNoCommonCodec},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := basic(t)
			_, _, err := n.Answer(tt.offer, SendRecv)
			wantErr(t, err, tt.want)
			if n.Local() != nil {
				t.Error("a refused offer left a description behind")
			}
			// the negotiator is as good as new
			if _, _, err := n.Answer(lines("m=audio 4000 RTP/AVP 0"), SendRecv); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOtherFamily: media that could not be sent is refused when it is asked for, not
// when the call is answered.
func TestOtherFamily(t *testing.T) {
	n := New(Options{Addr: netip.MustParseAddrPort("192.0.2.1:20000"), Codecs: []codec.Info{info(t, codec.PCMU, 8000)}})
	const six = "v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	_, _, err := n.Answer([]byte(six), SendRecv)
	wantErr(t, err, ErrAddressFamily)
	if _, err := n.Offer(SendRecv); err != nil {
		t.Fatal(err)
	}
	_, err = n.Accept([]byte(six))
	wantErr(t, err, ErrAddressFamily)
}
