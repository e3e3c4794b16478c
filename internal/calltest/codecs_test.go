package calltest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/audiotest"
	"tapedeck/internal/callgen"
	"tapedeck/internal/codec"
	"tapedeck/internal/testkit"
	"tapedeck/internal/wav"
)

// spoken are the codecs of the scenarios: all that this machine can encode, with a
// packet time that each can have.
func spoken() []codec.Info {
	var out []codec.Info
	for name, clock := range map[string]int{codec.PCMU: 0, codec.PCMA: 0, codec.G722: 0, codec.Opus: 0, codec.L16: 16000} {
		if info, ok := codec.Lookup(name, clock); ok && codec.Encodable(info) {
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b codec.Info) int { return int(a.PT) - int(b.PT) })
	return out
}

// Whatever two parties speak, each hears the other, and both are in the file, each
// on its side and in its place.
func TestCodecs(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	s := NewStage(t)
	s.Do(t, http.MethodPatch, s.workspacePath()+"/channels/"+string(s.Channel), `{"codecs":["opus","G722","PCMU","PCMA","L16"]}`, http.StatusOK, nil)
	ptimes := []time.Duration{20, 40, 10, 60, 20}
	codecs := spoken()
	for i, near := range codecs {
		for k, far := range codecs[i:] {
			if raceDetector && k != 2 {
				continue // it makes everything ten times as slow: three pairs have every codec
			}
			p := pair{
				number: 10*i + k, near: near, far: far,
				nearPtime: ptimes[(i+k)%len(ptimes)] * time.Millisecond, farPtime: ptimes[(2*i+3*k)%len(ptimes)] * time.Millisecond,
			}
			if far.Is(codec.Opus) {
				p.farPtime = max(p.farPtime, 20*time.Millisecond) // half the work for a busy machine
			}
			t.Run(fmt.Sprintf("%s in %v and %s in %v", near.Name, p.nearPtime, far.Name, p.farPtime), func(t *testing.T) {
				t.Parallel()
				p.talk(t, s, nil)
			})
		}
	}
	t.Run("PCMU and G722, with loss and jitter", func(t *testing.T) {
		t.Parallel()
		underLoss(t, s)
	})
	t.Run("the codec changes during the call", func(t *testing.T) {
		t.Parallel()
		codecChanges(t, s)
	})
}

// A bad network on one side of a bridge that transcodes: what came is heard, and
// the file holds all that came in its place.
func underLoss(t *testing.T, s *Stage) {
	mu, _ := codec.Lookup(codec.PCMU, 0)
	wide, _ := codec.Lookup(codec.G722, 0)
	p := pair{number: 90, near: mu, far: wide, nearPtime: 20 * time.Millisecond, farPtime: 20 * time.Millisecond}
	p.talk(t, s, func(n uint64) []time.Duration {
		if n%20 == 7 { // 5 %
			return nil
		}
		return []time.Duration{time.Duration(n*13%41) * time.Millisecond}
	})
}

// pair is two parties that speak at once.
type pair struct {
	number              int
	near, far           codec.Info
	nearPtime, farPtime time.Duration
}

// saidMarks is how many marks each party says: two seconds.
const saidMarks = 8

// grid is a time that packets of every length begin at.
const grid = 120 * time.Millisecond

func (p *pair) talk(t *testing.T, s *Stage, impair func(uint64) []time.Duration) {
	near := s.Party(t, callgen.PartyOptions{User: fmt.Sprint(7000 + 2*p.number), Codecs: []string{p.near.Name}, Ptime: p.nearPtime, Impair: impair})
	far := s.Party(t, callgen.PartyOptions{User: fmt.Sprint(7001 + 2*p.number), Codecs: []string{p.far.Name}, Ptime: p.farPtime})
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	at := (s.Parties.Now() + 300*time.Millisecond).Truncate(grid) + grid
	a := near.PlayAt(at, callgen.PCM(voiceOf(0, p.near).Signal(saidMarks)))
	b := far.PlayAt(at, callgen.PCM(voiceOf(1, p.far).Signal(saidMarks)))
	await(t, a.Done())
	await(t, b.Done())
	hearing(t, far, 400*time.Millisecond)
	hears(t, near, 1, 0)
	hears(t, far, 0, 1)
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	file := s.Audio(t, rec)
	if want := max(p.near.SampleRate, p.far.SampleRate); file.Rate != want || len(file.Sides) != 2 {
		t.Fatalf("the file has %d sides at %d Hz, want 2 at %d", len(file.Sides), file.Rate, want)
	}
	left, right := even(file.Sides[0], file.Rate), even(file.Sides[1], file.Rate)
	least := 0.95
	if impair != nil {
		least = 0.85
	}
	nearIn, farIn := isIn(t, "left", left, 0, p.near, least), isIn(t, "right", right, 1, p.far, 0.95)
	if len(listener(1).Find(left)) > 0 || len(listener(0).Find(right)) > 0 {
		t.Error("a party is on the other's side")
	}
	// These parties send a packet when its audio begins, and a microphone when it
	// ends, which is what a file takes it for. And a busy machine sends late.
	if apart := (nearIn - farIn - (p.farPtime - p.nearPtime)).Abs(); apart > 25*time.Millisecond && !raceDetector {
		t.Errorf("the sides are %v apart", apart)
	}
}

// hears checks that a party hears the other voice and not its own. How much of it
// comes through whole depends on a machine that keeps up, so a piece is enough.
func hears(t *testing.T, p *callgen.Party, other, own uint8) {
	t.Helper()
	pcm, rate, err := p.Audio()
	if err != nil {
		t.Fatal(err)
	}
	pcm = even(pcm, rate)
	if raceDetector {
		// A bridge that cannot keep up skips and conceals; that somebody is heard stays
		// true. Who it is, the simulated bridges of media show, and the file here.
		if level := audio.Measure(pcm).RMS; level < -50 {
			t.Errorf("%s hears %.0f dBFS", p.User(), level)
		}
		return
	}
	best := 0.0
	said := listener(other).Signal(saidMarks)
	for mark := range saidMarks {
		piece := said[mark*len(said)/saidMarks:][:len(said)/saidMarks]
		best = max(best, compare.Align(piece, pcm).Correlation)
	}
	t.Logf("%s hears voice %d with a likeness of %.2f", p.User(), other, best)
	if best < 0.3 { // what is not there at all has less than 0.2
		t.Errorf("%s hears voice %d with a likeness of %.2f", p.User(), other, best)
	}
	if len(listener(own).Find(pcm)) > 0 {
		t.Errorf("%s hears itself", p.User())
	}
}

// isIn checks that a voice is in a side of a file, and returns its place.
func isIn(t *testing.T, name string, side []int16, id uint8, spoken codec.Info, least float64) time.Duration {
	t.Helper()
	m := compare.Align(listener(id).Signal(saidMarks), side)
	at := time.Duration(m.Lag / listenRate * float64(time.Second))
	t.Logf("%s: voice %d at %v with a likeness of %.3f", name, id, at, m.Correlation)
	if spoken.Is(codec.Opus) {
		least = min(least, 0.8) // telephony's Opus is made for speech, not for tones
	}
	if m.Correlation < least {
		t.Errorf("%s: voice %d with a likeness of %.3f, want %.2f", name, id, m.Correlation, least)
	}
	return at
}

func voiceOf(id uint8, c codec.Info) audiotest.Voice {
	return audiotest.Voice{ID: id, Rate: c.SampleRate}
}

// listenRate is the rate at which voices are looked for: at 8 kHz, a place between
// two samples is hard to see, at 48 kHz it takes long.
const listenRate = 16000

func listener(id uint8) audiotest.Voice { return audiotest.Voice{ID: id, Rate: listenRate} }

// even brings audio to listenRate.
func even(pcm []int16, rate int) []int16 {
	r := audio.NewResampler(rate, listenRate)
	return r.Flush(r.Process(nil, pcm))
}

// A re-INVITE changes the codec of one party in the middle: the bridge goes over to
// transcoding, or back, and the file holds what was said in both, at the higher rate.
func codecChanges(t *testing.T, s *Stage) {
	mu, _ := codec.Lookup(codec.PCMU, 0)
	wide, _ := codec.Lookup(codec.G722, 0)
	near := s.Party(t, callgen.PartyOptions{User: "7801", Codecs: []string{codec.PCMU}})
	far := s.Party(t, callgen.PartyOptions{User: "7802", Codecs: []string{codec.PCMU}})
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	hearing(t, far, 200*time.Millisecond) // so that nothing was said before the recording began
	say := func(v audiotest.Voice) {
		t.Helper()
		b := near.Play(callgen.PCM(v.Signal(6)))
		await(t, b.Done())
		hearing(t, far, 200*time.Millisecond)
	}
	say(voiceOf(0, mu))
	if err := near.Change(t.Context(), codec.G722); err != nil {
		t.Fatal(err)
	}
	say(voiceOf(2, wide))
	if err := near.Change(t.Context(), codec.PCMU); err != nil {
		t.Fatal(err)
	}
	say(voiceOf(4, mu))
	pcm, rate, err := far.Audio()
	if err != nil {
		t.Fatal(err)
	}
	pcm = even(pcm, rate)
	for _, id := range []uint8{0, 2, 4} {
		if v := listener(id).Judge(listener(id).Find(pcm)); v.Marks < 2 && !raceDetector || !v.Order && v.Marks > 0 {
			t.Errorf("the far party hears of voice %d: %v", id, v)
		}
	}
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	file := s.Audio(t, rec)
	if file.Rate != 16000 {
		t.Errorf("the file has %d Hz", file.Rate)
	}
	side, last := even(file.Sides[0], file.Rate), time.Duration(-1)
	for _, id := range []uint8{0, 2, 4} {
		v := listener(id).Judge(listener(id).Find(side))
		t.Logf("voice %d: %v", id, v)
		if v.Marks < 5 || !v.Order || v.Worst > 20*time.Millisecond || v.Begin <= last {
			t.Errorf("voice %d in the file: %v", id, v)
		}
		last = v.Begin
	}
}

// A real peer in each wideband codec, bridged with a party that speaks G.711 only.
func TestBaresipInWideband(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	p := NewStage(t)
	for i, c := range []struct {
		module, name string
		info         string
		format       wav.Format
	}{
		{"g722", "G722/16000/1", codec.G722, wav.Format{SampleRate: 16000, Channels: 1}},
		{"opus", "opus/48000/2", codec.Opus, wav.Format{SampleRate: 48000, Channels: 2}},
	} {
		info, _ := codec.Lookup(c.info, 0)
		if !codec.Encodable(info) {
			continue // the program offers no Opus without libopus
		}
		t.Run(c.info, func(t *testing.T) {
			var pcm []int16
			for _, v := range append(voiceOf(0, info).Signal(saidMarks), make([]int16, 30*info.SampleRate)...) {
				for range c.format.Channels {
					pcm = append(pcm, v)
				}
			}
			said := filepath.Join(t.TempDir(), "said.wav")
			writeWAVAs(t, said, c.format, pcm)
			far := p.Party(t, callgen.PartyOptions{User: fmt.Sprint(7900 + i), Codecs: []string{codec.PCMA}})
			near := Baresip(t, said, "sip:"+p.Number+"@"+p.SIP, c.module, c.name)
			call := p.AwaitCall(t, "ringing")
			rec := p.Record(t, call.ID, `{"stereo":true}`)
			p.BridgeTo(t, call.ID, far.URI())
			if err := far.Answered(t.Context()); err != nil {
				t.Fatal(err)
			}
			b := far.Play(callgen.PCM(voiceOf(1, codec.Info{SampleRate: 8000}).Signal(saidMarks)))
			await(t, b.Done())
			hearing(t, far, time.Second)
			hears(t, far, 0, 1)
			p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/hangup", "", http.StatusAccepted, nil)
			p.AwaitRecording(t, rec, "available")
			near.Quit(t)
			file := p.Audio(t, rec)
			if file.Rate != info.SampleRate {
				t.Errorf("the file has %d Hz", file.Rate)
			}
			isIn(t, "left", even(file.Sides[0], file.Rate), 0, info, 0.9)
			isIn(t, "right", even(file.Sides[1], file.Rate), 1, codec.Info{}, 0.9)
		})
	}
}
