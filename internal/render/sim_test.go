package render

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

const (
	rate = 8000
	ms   = time.Millisecond
)

// sound is a party's voice in a test: noise of the party's own at any sample of
// its own time, so that every stretch of it says when it was spoken. It is
// smooth, so that it can be found when it was stretched a little.
func sound(party uint64, i int64) int16 {
	const step = 8 // samples between the points of the noise: about 500 Hz wide
	k, t := i/step, float64(i%step)/step
	at := func(k int64) float64 {
		x := uint64(k)*0x9e3779b97f4a7c15 + party*0xbf58476d1ce4e5b9
		x ^= x >> 31
		x *= 0x94d049bb133111eb
		x ^= x >> 29
		return float64(int32(x>>32)) / math.MaxInt32 * 8000
	}
	w := (1 - math.Cos(math.Pi*t)) / 2
	return int16(at(k)*(1-w) + at(k+1)*w)
}

// heard is a party's sound as it comes out of G.711.
func heard(party uint64, from, n int64) []int16 {
	pcm, coded := make([]int16, n), make([]byte, n)
	for i := range pcm {
		pcm[i] = sound(party, from+int64(i))
	}
	g711.EncodeMu(coded, pcm)
	g711.DecodeMu(pcm, coded)
	return pcm
}

// event is an entry with the time at which it reaches the journal.
type event struct {
	at    time.Duration
	entry journal.Entry
}

// scene is a simulated call: entries in the order of their time.
type scene struct {
	header journal.Header
	events []event
}

func newScene() *scene {
	s := &scene{header: journal.Header{
		Recording: "0190e2f4-0000-7000-8000-000000000001", Workspace: "w1", Channel: "ch1", Call: "A", Stereo: true, SampleRate: rate,
		Wall: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC),
	}}
	return s
}

func (s *scene) add(at time.Duration, e journal.Entry) *scene {
	e.At = at
	s.events = append(s.events, event{at, e})
	return s
}

func pcmu() []journal.Codec {
	return []journal.Codec{{PT: 0, Name: "PCMU", ClockRate: 8000, SampleRate: 8000, Channels: 1}}
}

func (s *scene) track(at time.Duration, n uint16, call, party, role string) *scene {
	return s.add(at, journal.Entry{Kind: journal.KindTrackOpened, Track: n, Detail: journal.Detail{
		Call: call, Party: party, Role: role, Codecs: pcmu(),
	}})
}

func (s *scene) begin(at time.Duration) *scene {
	return s.add(at, journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: s.header.Wall.Add(at)}})
}

func (s *scene) join(at time.Duration, a, b string) *scene {
	return s.add(at, journal.Entry{Kind: journal.KindJoined, Detail: journal.Detail{Call: a, Other: b}})
}

func (s *scene) part(at time.Duration, a, b string) *scene {
	return s.add(at, journal.Entry{Kind: journal.KindParted, Detail: journal.Detail{Call: a, Other: b}})
}

func (s *scene) pause(from, to time.Duration, b voice.PauseBehavior) *scene {
	s.add(from, journal.Entry{Kind: journal.KindPaused, Detail: journal.Detail{Behavior: string(b)}})
	if to > 0 {
		s.add(to, journal.Entry{Kind: journal.KindResumed})
	}
	return s
}

func (s *scene) stop(at time.Duration, cause voice.EndCause) *scene {
	return s.add(at, journal.Entry{Kind: journal.KindStop, Detail: journal.Detail{Cause: string(cause)}})
}

// party is one that speaks into the scene.
type party struct {
	id       uint64
	track    uint16
	ppm      float64
	jitter   time.Duration
	loss     float64
	dup      float64
	seed     uint64
	ptime    time.Duration
	from, to time.Duration // spoken
	payload  func(pcm []int16) (pt uint8, payload []byte)
}

func mu(pcm []int16) (uint8, []byte) {
	out := make([]byte, len(pcm))
	g711.EncodeMu(out, pcm)
	return 0, out
}

// speak adds the party's packets, each sent when its last sample was spoken.
func (s *scene) speak(p party) *scene {
	rnd := rand.New(rand.NewPCG(p.seed, 2))
	if p.ptime == 0 {
		p.ptime = 20 * ms
	}
	if p.payload == nil {
		p.payload = mu
	}
	n := int64(p.ptime * rate / time.Second)
	clock := 1 + p.ppm/1e6
	for i := int64(0); ; i++ {
		spoken := p.from + time.Duration(float64((i+1)*n)/rate/clock*float64(time.Second))
		if spoken > p.to {
			break
		}
		pcm := make([]int16, n)
		first := int64(math.Round(p.from.Seconds()*rate)) + i*n // by the party's own clock
		for k := range pcm {
			pcm[k] = sound(p.id, first+int64(k))
		}
		pt, payload := p.payload(pcm)
		e := journal.Entry{Kind: journal.KindPacket, Track: p.track, Packet: journal.Packet{
			Seq: uint16(65000 + i), Time: uint32(4_294_900_000 + first), SSRC: uint32(100 + p.id), PT: pt, Payload: payload,
		}}
		if rnd.Float64() < p.loss {
			continue
		}
		at := spoken
		if p.jitter > 0 {
			at += time.Duration(rnd.Int64N(int64(p.jitter)))
		}
		s.add(at, e)
		if rnd.Float64() < p.dup {
			s.add(at+time.Duration(rnd.Int64N(int64(40*ms))), e)
		}
	}
	return s
}

// journal writes the scene; what comes after the stop, or in a pause, is not
// taken, as by the recorder.
func (s *scene) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scene.journal")
	w, err := journal.Create(path, s.header, nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return int(a.at - b.at) })
	begun, paused, begin := false, false, time.Duration(0)
	for i := range s.events {
		e := &s.events[i].entry
		switch e.Kind {
		case journal.KindBegin:
			begun, begin = true, e.At
		case journal.KindPaused:
			paused = true
		case journal.KindResumed:
			paused = false
		case journal.KindStop:
			if e.Detail.Wall = s.header.Wall; !begun {
				e.Detail.Wall = time.Time{}
			}
			e.Detail.Offset = e.At - begin
		case journal.KindPacket:
			if !begun || paused {
				continue
			}
			err = w.Packet(e.At, e.Track, &e.Packet)
		}
		if e.Kind != journal.KindPacket {
			err = w.Control(*e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == journal.KindStop {
			break
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is a rendered file.
type result struct {
	plan    *Plan
	receipt Receipt
	raw     []byte
	sides   [][]int16
}

func render(t testing.TB, path string, l Layout) *result {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	plan, err := Make(j, l)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.wav")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := plan.Write(context.Background(), f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := Check(out, receipt); err != nil {
		t.Fatal(err)
	}
	r := &result{plan: plan, receipt: receipt}
	if r.raw, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	r.sides = decode(t, r.raw)
	return r
}

func decode(t testing.TB, raw []byte) [][]int16 {
	t.Helper()
	w, err := wav.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	n := w.Format().Channels
	sides := make([][]int16, n)
	body := raw[w.HeaderSize():]
	for i := 0; i+2 <= len(body); i += 2 {
		k := i / 2 % n
		sides[k] = append(sides[k], int16(binary.LittleEndian.Uint16(body[i:])))
	}
	return sides
}

// find returns by how many samples the sound of a party around a sample of the
// file is later than it should be, and how well it fits there (1 = the same).
func find(side []int16, party uint64, at, spoken int64, within int) (late int, fit float64) {
	const window = 400
	if at < 0 || at+window > int64(len(side)) {
		return 0, 0
	}
	got := side[at : at+window]
	want := heard(party, spoken-int64(within), window+2*int64(within))
	for k := 0; k <= 2*within; k++ {
		if c := correlate(got, want[k:k+window]); c > fit {
			fit, late = c, within-k
		}
	}
	return late, fit
}

func correlate(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

func silent(pcm []int16) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}
