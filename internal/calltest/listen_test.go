package calltest

import (
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/callgen"
	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

// listenedTo is all that the party heard, at 8 kHz: one packet after the other, so
// that a server which was held up on a busy machine has said nothing else.
func listenedTo(t *testing.T, p *callgen.Party) (pcm []int16) {
	t.Helper()
	agreed, _ := p.Agreed()
	var decoder codec.Decoder
	var info codec.Info
	frame := make([]int16, 48000/8) // RFC 6716 §2.1.4: 120 ms at most
	for _, f := range inOrder(p.Heard()) {
		at := slices.IndexFunc(agreed.Receive, func(c sdp.Codec) bool { return c.PT == f.PT && !c.Is(codec.Event) })
		if at < 0 {
			continue // a telephone-event
		}
		if decoder == nil {
			var err error
			info = agreed.Receive[at].Info
			info.Channels = 1
			if decoder, err = codec.NewDecoder(info); err != nil {
				t.Fatal(err)
			}
		}
		n, err := decoder.Decode(frame, f.Payload)
		if err != nil {
			t.Fatalf("%s heard what is no %s: %v", p.User(), info.Name, err)
		}
		pcm = append(pcm, frame[:n]...)
	}
	if decoder == nil {
		return nil
	}
	return (&audio.Clip{Rate: info.SampleRate, Samples: pcm}).At(8000).Samples
}

func inOrder(frames []callgen.Frame) []callgen.Frame {
	slices.SortStableFunc(frames, func(a, b callgen.Frame) int { return int(int16(a.Seq - b.Seq)) })
	return frames
}

// hearsWhole waits until a signal of 8 kHz is whole in what the party heard, and returns
// its place in samples.
func hearsWhole(t *testing.T, p *callgen.Party, what []int16, name string) int {
	t.Helper()
	var m compare.Match
	defer func() {
		if t.Failed() {
			t.Logf("%s: %s is in what was heard with correlation %.3f", p.User(), name, m.Correlation)
		}
	}()
	testkit.Eventually(t, patience, func() bool {
		m = compare.Align(what, listenedTo(t, p))
		return m.Correlation >= 0.95
	})
	return m.Samples()
}

// hearsNot checks that a signal is not in what the party heard.
func hearsNot(t *testing.T, p *callgen.Party, what []int16, name string) {
	t.Helper()
	missing(t, listenedTo(t, p), what, p.User()+": "+name)
}

// occurrences is how often a signal is in another one, whole.
func occurrences(what, in []int16) (n int) {
	in = slices.Clone(in)
	for {
		m := compare.Align(what, in)
		if m.Correlation < 0.95 {
			return n
		}
		n++
		from := max(m.Samples(), 0)
		clear(in[from:min(from+len(what), len(in))])
	}
}

// one is a signal after the other, with so many samples of silence between them.
func one(gap int, signals ...[]int16) (out []int16) {
	for i, s := range signals {
		if i > 0 {
			out = append(out, make([]int16, gap)...)
		}
		out = append(out, s...)
	}
	return out
}

// steps is a call flow of these commands.
func steps(commands ...string) string { return "[" + strings.Join(commands, ",") + "]" }

// step is a command of a flow.
func step(command, options string) string {
	if options == "" {
		return `{"command":"` + command + `"}`
	}
	return `{"command":"` + command + `","options":` + options + `}`
}
