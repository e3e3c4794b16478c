package calltest

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/testkit"
	"tapedeck/internal/wav"
)

// sweep is a sine that rises from one frequency to another, 8 kHz, at about
// −12 dBFS. It is like itself at one place only.
func sweep(seconds, from, to float64) []int16 {
	out := make([]int16, int(seconds*8000))
	for i := range out {
		at := float64(i) / 8000
		out[i] = int16(8000 * math.Sin(2*math.Pi*(from+(to-from)*at/seconds/2)*at))
	}
	return out
}

func ulaw(pcm []int16) []byte {
	out := make([]byte, len(pcm))
	g711.EncodeMu(out, pcm)
	return out
}

// Two parties of sipp, joined by the API and recorded from before the answer:
// both sides are whole, in their place to the millisecond, and the file is as
// long as the call.
func TestSippBothParties(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	caller, callee := sweep(5, 300, 1500), sweep(5, 1700, 3300)
	p := Serve(t, Build(t))
	wire := Watch(t)
	far := Sipp(t, "callee.xml", ulaw(callee), "-m", "1")
	near := Sipp(t, "caller.xml", ulaw(caller), "-m", "1", "-s", p.Number, "-d", "6000", p.SIP)

	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, `{"stereo":true}`)
	p.BridgeTo(t, call.ID, fmt.Sprintf("sip:bob@127.0.0.1:%d", far.Port))
	near.Wait(t, time.Minute)
	far.Wait(t, time.Minute)

	p.AwaitRecording(t, rec, "available")
	packets := wire.Stop(t)
	sip := PortOf(t, p.SIP)
	answer := SIP(t, packets, sip, near.Port, "SIP/2.0 200", "CSeq: 1 INVITE")
	bye := SIP(t, packets, near.Port, sip, "BYE ", "")
	file := p.Audio(t, rec)
	judge(t, file, bye-answer,
		voice{caller, packets, near.Port}, voice{callee, packets, far.Port})
}

// A party of baresip calls in, a party of sipp is called, the API hangs up.
func TestBaresipCallsIn(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	caller, callee := sweep(5, 300, 1500), sweep(5, 1700, 3300)
	said := filepath.Join(t.TempDir(), "said.wav")
	// baresip hangs up at the end of its file, and the API shall be first.
	writeWAV(t, said, append(slices.Clone(caller), make([]int16, 20*8000)...))
	p := Serve(t, Build(t))
	wire := Watch(t)
	far := Sipp(t, "callee.xml", ulaw(callee), "-m", "1")
	near := Baresip(t, said, "sip:"+p.Number+"@"+p.SIP, "g711", "PCMU/8000/1")

	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, `{"stereo":true,"maxLength":60}`)
	p.BridgeTo(t, call.ID, fmt.Sprintf("sip:bob@127.0.0.1:%d", far.Port))
	p.AwaitDuration(t, rec, 6*time.Second)
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/hangup", "", http.StatusAccepted, nil)
	far.Wait(t, time.Minute)

	got := p.AwaitRecording(t, rec, "available")
	if got.EndCause != "call-ended" {
		t.Errorf("end cause %s", got.EndCause)
	}
	near.Quit(t)
	packets := wire.Stop(t)
	sip := PortOf(t, p.SIP)
	answer := SIP(t, packets, sip, near.Port, "SIP/2.0 200", "INVITE")
	bye := SIP(t, packets, sip, near.Port, "BYE ", "")
	judge(t, p.Audio(t, rec), bye-answer,
		voice{caller, packets, near.Port}, voice{callee, packets, far.Port})
}

// voice is what a party said, and where its packets are.
type voice struct {
	said    []int16
	packets []Packet
	sip     uint16
}

// start finds the RTP stream of the party: its packets come from the port
// that its SDP named.
func (v *voice) start(t *testing.T) time.Duration {
	t.Helper()
	port := mediaPort(t, v.packets, v.sip)
	at, n := Start(v.packets, port)
	if want := len(v.said) / 160; n < want-1 {
		t.Fatalf("only %d of %d packets of the party on port %d are on the wire", n, want, port)
	}
	return at
}

// judge compares a stereo file with what the parties said: who is where, in
// which place, and how long it is.
func judge(t *testing.T, a Audio, length time.Duration, left, right voice) {
	t.Helper()
	if len(a.Sides) != 2 || a.Rate != 8000 {
		t.Fatalf("file has %d sides at %d Hz", len(a.Sides), a.Rate)
	}
	got := time.Duration(len(a.Sides[0])) * time.Second / time.Duration(a.Rate)
	l, r := compare.Align(left.said, a.Sides[0]), compare.Align(right.said, a.Sides[1])
	apart := time.Duration((r.Lag - l.Lag) / float64(a.Rate) * float64(time.Second))
	truth := right.start(t) - left.start(t)
	lTalk, rTalk := compare.CrossTalk(a.Sides[0], left.said, right.said), compare.CrossTalk(a.Sides[1], right.said, left.said)
	t.Logf("length %v (wire %v), correlation %.4f and %.4f, right after left %v (wire %v), cross-talk %.0f and %.0f dB",
		got, length, l.Correlation, r.Correlation, apart, truth, lTalk, rTalk)
	if d := (got - length).Abs(); d > 20*time.Millisecond {
		t.Errorf("length is off by %v", d)
	}
	if l.Correlation < 0.99 || r.Correlation < 0.99 {
		t.Errorf("correlation %.4f left, %.4f right, want 0.99", l.Correlation, r.Correlation)
	}
	if d := (apart - truth).Abs(); d > time.Millisecond {
		t.Errorf("the sides are off by %v against each other", d)
	}
	if lTalk > -60 || rTalk > -60 {
		t.Errorf("cross-talk %.0f dB left, %.0f dB right, want below −60 dB", lTalk, rTalk)
	}
}

func writeWAV(t *testing.T, path string, pcm []int16) {
	t.Helper()
	writeWAVAs(t, path, wav.Format{SampleRate: 8000, Channels: 1}, pcm)
}

func writeWAVAs(t *testing.T, path string, format wav.Format, pcm []int16) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewWriter(f, format, int64(len(pcm)/format.Channels))
	if err == nil {
		err = w.Write(pcm)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
