package render

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audiotest"
	"tapedeck/internal/journal"
	"tapedeck/internal/wav"
)

// ear takes a WAV file as it is written and remembers the parts of it that were
// asked for, so that a day of audio needs no disk.
type ear struct {
	head   []byte
	header int64
	format wav.Format
	frames int64 // as the header says
	size   int64
	want   []stretch // in order, without overlap
	past   int       // so many of them are behind
}

// stretch is a part of a file.
type stretch struct {
	from, to int64 // samples
	sides    [2][]int16
}

func (e *ear) Seek(int64, int) (int64, error) { return 0, errors.New("an ear hears everything once") }

func (e *ear) Write(b []byte) (int, error) {
	n := len(b)
	if e.header == 0 {
		e.head = append(e.head, b...)
		r, err := wav.NewReader(bytes.NewReader(e.head))
		if err != nil {
			return n, err // the header is written at once
		}
		e.header, e.format, e.frames = r.HeaderSize(), r.Format(), r.Frames()
		b = e.head[e.header:]
		e.size = e.header
	}
	frame := int64(2 * e.format.Channels)
	from := e.size - e.header
	e.size += int64(len(b))
	for i := e.past; i < len(e.want) && e.want[i].from*frame < from+int64(len(b)); i++ {
		w := &e.want[i]
		if w.to*frame <= from {
			e.past = i + 1
			continue
		}
		lo, hi := max(w.from*frame, from), min(w.to*frame, from+int64(len(b)))
		for at := lo; at+1 < hi; at += 2 {
			side := int(at/2) % e.format.Channels
			w.sides[side] = append(w.sides[side], int16(binary.LittleEndian.Uint16(b[at-from:])))
		}
	}
	return n, nil
}

// attend asks for a part, in order.
func (e *ear) attend(from, to int64) {
	from = max(from, 0)
	if k := len(e.want) - 1; k >= 0 && from <= e.want[k].to {
		e.want[k].to = max(e.want[k].to, to)
		return
	}
	e.want = append(e.want, stretch{from: from, to: to})
}

// heard returns the audio of a side around a place, and the place in it.
func (e *ear) hear(side int, at float64) ([]int16, float64) {
	k, _ := slices.BinarySearchFunc(e.want, int64(at), func(s stretch, at int64) int {
		if s.to <= at {
			return -1
		}
		return 1
	})
	if k >= len(e.want) {
		return nil, 0
	}
	return e.want[k].sides[side], at - float64(e.want[k].from)
}

// verdict is what the marks in a rendered file say.
type verdict struct {
	marks   int     // found and measured
	worst   float64 // marker error, ms
	offset  float64 // between the channels, ms
	length  float64 // of the file against the time that passed, ms
	rate    int
	receipt Receipt
	trouble []string
	errors  [2][]measured
}

type measured struct{ at, off float64 } // s, ms

const (
	// nearby is how far from its place a mark is looked for, in seconds; usual is
	// where it is looked for first.
	nearby = 0.080
	usual  = 0.003
	// A chirp whose packet was made a sample longer or shorter, to follow a clock,
	// is so much like one at least; what is none, less than half as much.
	alike = 0.6
)

// listen renders the journal and compares the marks in the audio with the truth.
func (c *call) listen(t testing.TB, path string) *verdict {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	plan, err := Make(j, Layout{Stereo: true})
	if err != nil {
		t.Fatal(err)
	}
	e, rate := &ear{}, float64(plan.SampleRate)
	phones := [2]*phone{c.left, c.right}
	place := func(at float64) float64 { return (at - float64(c.begin)) / 1e9 * rate }
	var wanted []Span
	for _, p := range phones {
		for _, m := range p.marks {
			wanted = append(wanted, Span{time.Duration(m.at - 2*nearby*1e9), time.Duration(m.at+2*nearby*1e9) + audiotest.MarkLength})
		}
		wanted = append(wanted, probes(p.quiets)...)
	}
	slices.SortFunc(wanted, func(a, b Span) int { return int(min(1, max(-1, a.From-b.From))) })
	for _, w := range wanted {
		e.attend(int64(place(float64(w.From))), int64(place(float64(w.To)))+1)
	}
	receipt, err := plan.Write(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	v := &verdict{rate: plan.SampleRate, receipt: receipt}
	frames := (e.size - e.header) / int64(2*e.format.Channels)
	if e.frames != frames || receipt.Samples != frames || e.format.Channels != 2 {
		v.trouble = append(v.trouble, fmt.Sprintf("the header says %d samples, the receipt %d, there are %d of %d channels", e.frames, receipt.Samples, frames, e.format.Channels))
	}
	v.length = math.Abs(float64(frames)/rate-(c.stop-c.begin).Seconds()) * 1000
	for side, p := range phones {
		v.judge(e, side, p, place)
	}
	v.channels()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return v
}

// probes are the parts of quiet spans in which nothing may be heard: what was
// said before has faded, and what is said after has not begun.
func probes(quiets []Span) []Span {
	const edge, probe = 120 * ms, 40 * ms
	var out []Span
	for _, q := range quiets {
		if q.To-q.From < 2*edge+probe {
			continue
		}
		out = append(out, Span{q.From + edge, q.From + edge + probe}, Span{q.To - edge, q.To - edge + probe})
		middle := q.From + (q.To-q.From)/2
		out = append(out, Span{middle, middle + probe})
	}
	return out
}

func (v *verdict) judge(e *ear, side int, p *phone, place func(float64) float64) {
	stop := float64(p.call.stop)
	for i := range p.marks {
		m := &p.marks[i]
		if m.torn || m.chirp >= stop || place(m.at) < 0 {
			continue
		}
		pcm, at := e.hear(side, place(m.at))
		if place(m.at) < nearby*float64(v.rate) {
			// What is a little early may begin before the file does.
			pad := int(nearby * float64(v.rate))
			pcm, at = append(make([]int16, pad), pcm...), at+float64(pad)
		}
		voice := audiotest.Voice{ID: p.id, Rate: v.rate}
		s := voice.Near(pcm, at, usual*float64(v.rate))
		if s.Like < alike {
			s = voice.Near(pcm, at, nearby*float64(v.rate))
		}
		if s.Like < alike {
			v.trouble = append(v.trouble, fmt.Sprintf("side %d: mark %d is not where it was said, %.3f s after the beginning (%.2f)", side, m.counter, place(m.at)/float64(v.rate), s.Like))
			continue
		}
		off := (s.At - at) / float64(v.rate) * 1000
		v.marks++
		v.worst = max(v.worst, math.Abs(off))
		v.errors[side] = append(v.errors[side], measured{m.at / 1e9, off})
		if m.word < stop && (!s.Mark || s.ID != p.id || s.Counter != m.counter) {
			v.trouble = append(v.trouble, fmt.Sprintf("side %d: mark %d, %.3f s after the beginning, reads as %d of voice %d, whole: %t (%.3f ms off)", side, m.counter, place(m.at)/float64(v.rate), s.Counter, s.ID, s.Mark, off))
		}
	}
	for _, q := range probes(p.quiets) {
		if q.To >= p.call.stop {
			continue
		}
		pcm, at := e.hear(side, place(float64(q.From)))
		n := int((q.To - q.From).Seconds() * float64(v.rate))
		if int(at)+n > len(pcm) || !silent(pcm[int(at):int(at)+n]) {
			v.trouble = append(v.trouble, fmt.Sprintf("side %d is not silent at %s, when nothing was sent", side, q.From))
		}
	}
}

// channels compares marks that were said at the same time.
func (v *verdict) channels() {
	right := v.errors[1]
	for _, l := range v.errors[0] {
		for len(right) > 1 && math.Abs(right[1].at-l.at) <= math.Abs(right[0].at-l.at) {
			right = right[1:]
		}
		if len(right) > 0 && math.Abs(right[0].at-l.at) < 1 {
			v.offset = max(v.offset, math.Abs(l.off-right[0].off))
		}
	}
}
