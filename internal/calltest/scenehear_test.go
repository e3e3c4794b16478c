package calltest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/callgen"
	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/speech"
	"tapedeck/internal/tone"
	"tapedeck/internal/wav"
)

// alike is the least correlation of what is heard, or recorded, with what was said.
const alike = 0.95

// sceneRate is the rate at which it is judged, Hz: that of the narrowest codec.
const sceneRate = 8000

func unbounded(ctx context.Context, do func(context.Context) error) error { return do(ctx) }

// eventually is testkit.Eventually for a test that wants to say what it saw.
func eventually(d time.Duration, condition func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); ; <-tick.C {
		if condition() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// manOrWoman is the voice of a party.
func manOrWoman(letter string) string {
	if letter == "B" {
		return "slt"
	}
	return "rms"
}

// spoken is a text as a voice says it, or as the server does.
func (p *player) spoken(text, voice string) *audio.Clip {
	p.t.Helper()
	clip, err := p.voices.Synthesize(p.t.Context(), speech.Utterance{Text: text, Locale: "en-US", Voice: voice})
	if err != nil {
		p.t.Fatal(err)
	}
	return clip
}

// wavOf is the clip as a file.
func wavOf(t *testing.T, clip *audio.Clip) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoken.wav")
	writeWAVAs(t, path, wav.Format{SampleRate: clip.Rate, Channels: 1}, clip.Samples)
	data, err := os.ReadFile(path) //nolint:gosec // it was written just now
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// ear decodes what a party heard, one frame after the other. A server that was held up
// goes on later with what it plays, at a later RTP time: nothing of it is missing, so
// that what is judged does not depend on how busy the machine is.
type ear struct {
	frames  int     // decoded so far
	pcm     []int16 // of all streams, at sceneRate
	from    int     // what comes before was recognised already
	run     []int16 // of the newest stream, at its own rate
	rate    int
	newest  callgen.Frame
	decoder codec.Decoder
	before  int // samples of the streams before it, at sceneRate
}

// listen decodes what is new.
func (e *ear) listen(t *testing.T, p *callgen.Party) {
	t.Helper()
	frames := p.Heard()[e.frames:]
	e.frames += len(frames)
	agreed, _ := p.Agreed()
	buffer := make([]int16, 48000/8) // RFC 6716 §2.1.4: 120 ms at most
	for _, f := range frames {
		at := slices.IndexFunc(agreed.Receive, func(c sdp.Codec) bool { return c.PT == f.PT })
		if at < 0 || agreed.Receive[at].Info.Is(codec.Event) || agreed.Receive[at].Info.Is(codec.CN) {
			continue
		}
		info := agreed.Receive[at].Info
		info.Channels = 1
		if e.decoder == nil || f.SSRC != e.newest.SSRC || f.PT != e.newest.PT {
			d, err := codec.NewDecoder(info)
			if err != nil {
				t.Fatal(err)
			}
			e.decoder, e.rate, e.before, e.run = d, info.SampleRate, len(e.pcm), nil
		}
		n, err := e.decoder.Decode(buffer, f.Payload)
		if err != nil {
			t.Fatal(err)
		}
		e.newest, e.run = f, append(e.run, buffer[:n]...)
	}
	if len(frames) > 0 && e.decoder != nil {
		clip := &audio.Clip{Rate: e.rate, Samples: slices.Clone(e.run)}
		e.pcm = append(e.pcm[:e.before], clip.At(sceneRate).Samples...)
	}
}

// find waits until the party has heard a clip after what it heard before.
func (p *player) find(letter string, clip *audio.Clip) {
	p.t.Helper()
	a, what := p.parties[letter], clip.At(sceneRate).Samples
	best, looked := 0.0, 0
	found := eventually(patience+clip.Duration(), func() bool {
		a.ear.listen(p.t, a.Party)
		if n := len(a.ear.pcm); n-a.ear.from < len(what) || n-looked < sceneRate/4 && !a.over() || n == looked {
			return false
		}
		looked = len(a.ear.pcm)
		m := compare.Align(what, a.ear.pcm[a.ear.from:])
		best = max(best, m.Correlation)
		if m.Correlation < alike {
			return false
		}
		// Its end may be silence that has not come yet, and will not, if a key cuts it off.
		a.ear.from = min(a.ear.from+m.Samples()+len(what), looked)
		return true
	})
	if !found {
		p.t.Fatalf("what %s heard is like it to %.3f, in %.1f s of %.1f", letter, best,
			float64(len(a.ear.pcm)-a.ear.from)/sceneRate, float64(len(a.ear.pcm))/sceneRate)
	}
}

func (p *player) hears(args []string) { p.find(args[0], p.spoken(args[1], "")) }

func (p *player) hearsBeginning(args []string) {
	clip := p.spoken(args[1], "")
	p.find(args[0], &audio.Clip{Rate: clip.Rate, Samples: clip.Samples[:clip.Rate]})
}

func (p *player) missedEnd(args []string) {
	a, clip := p.parties[args[0]], p.spoken(args[1], "")
	end := &audio.Clip{Rate: clip.Rate, Samples: clip.Samples[len(clip.Samples)-clip.Rate:]}
	a.ear.listen(p.t, a.Party)
	if m := compare.Align(end.At(sceneRate).Samples, a.ear.pcm); m.Correlation > 0.6 {
		p.t.Errorf("it is there with correlation %.3f", m.Correlation)
	}
}

func (p *player) hearsParty(args []string) {
	other := p.parties[args[1]]
	if len(other.said) == 0 {
		p.t.Fatalf("%s said nothing", args[1])
	}
	p.find(args[0], other.said[len(other.said)-1])
}

func (p *player) hearsBeep(args []string) { p.find(args[0], tone.Beep()) }
