package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/journal"
	"tapedeck/internal/timeline"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

const (
	// chunk is how many samples are mixed at once.
	chunk = 4096
	// margin is how much further than MaxLate a packet's audio may lie from its
	// arrival: its own length, and jitter of the anchor.
	margin = 2 * time.Second
	// progressEvery is how many emitted chunks pass between two reports of progress.
	progressEvery = 16
	// maxFrame is the longest packet that is decoded, in samples of all channels:
	// 120 ms of 48 kHz stereo fit.
	maxFrame = 16 << 10
)

// renderer is one Write.
type renderer struct {
	plan   *Plan
	facts  *facts // the same states as in the first pass
	voices []*voiced
	byNum  []*voiced // by the number of the track
	out    *wav.Writer
	peaks  *peaksWriter // nil: nobody wants them
	kept   []keep       // what of the session is in the file
	begin  int64        // sample of the journal's clock at which the session begins
	done   int64        // session samples that are decided
	file   int64        // samples written
	sides  [2][]int16
	pcm    []int16
	warp   audio.Stretcher
	store  store
	calls  int
}

// keep is a stretch of the session, silent when paused.
type keep struct {
	from, to int64
	mute     bool
	cut      bool
}

// Write reads the journal again and writes the WAV file. Memory does not depend
// on the length of the recording. The file is whole when it returns, but not
// synced. Journals written on after Make are rendered as Make saw them.
func (p *Plan) Write(ctx context.Context, w io.WriteSeeker) (Receipt, error) {
	hash := sha256.New()
	target := &hashed{w: w, hash: hash}
	out, err := wav.NewWriter(target, wav.Format{SampleRate: p.SampleRate, Channels: p.Channels}, p.Samples)
	if err != nil {
		return Receipt{}, fmt.Errorf("render %s: %w", p.header.Recording, err)
	}
	out.Buffer(p.layout.Desk.out)
	r := p.renderer(out)
	if p.layout.Peaks != nil {
		r.peaks = newPeaksWriter(p.layout.Desk.writer(p.layout.Peaks), p.SampleRate, p.Channels, p.Samples)
	}
	if err := p.journal.Rewind(); err != nil {
		return Receipt{}, fmt.Errorf("render %s: %w", p.header.Recording, err)
	}
	if err := r.run(ctx); err != nil {
		return Receipt{}, fmt.Errorf("render %s: %w", p.header.Recording, err)
	}
	if err := out.Close(); err != nil {
		return Receipt{}, fmt.Errorf("render %s: %w", p.header.Recording, err)
	}
	if r.peaks != nil {
		if err := r.peaks.close(); err != nil {
			return Receipt{}, fmt.Errorf("render %s: %w", p.header.Recording, err)
		}
	}
	receipt := r.receipt()
	p.layout.Desk.clear(r)
	receipt.File = FileDigest{Size: target.size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return receipt, nil
}

// hashed sums what is written, once and in order: the plan knows the length
// beforehand, so the writer never goes back.
type hashed struct {
	w    io.WriteSeeker
	hash io.Writer
	size int64
}

func (h *hashed) Write(b []byte) (int, error) {
	n, err := h.w.Write(b)
	h.size += int64(n)
	if _, herr := h.hash.Write(b[:n]); herr != nil {
		return n, herr
	}
	return n, err
}

func (h *hashed) Seek(int64, int) (int64, error) {
	return 0, errors.New("a file that is hashed while it is written cannot be changed")
}

func (p *Plan) renderer(out *wav.Writer) *renderer {
	r := &renderer{
		plan: p, facts: newFacts(p.layout.Desk), out: out,
		kept: p.keeps(), begin: samples(p.Begin, p.SampleRate),
		sides: p.layout.Desk.sides, pcm: p.layout.Desk.pcm,
	}
	r.store.adopt(p.layout.Desk)
	end, holes := r.kept[len(r.kept)-1].to, p.holes()
	for i := range p.Tracks {
		v := newVoiced(p, &p.Tracks[i], r, end)
		v.holes = holes
		r.voices = append(r.voices, v)
		r.byNum = append(r.byNum, make([]*voiced, v.plan.Number+1-len(r.byNum))...) // in order of their numbers
		r.byNum[v.plan.Number] = v
	}
	return r
}

// keeps divides the session into stretches that are written, muted or cut out,
// so that exactly the planned samples come out.
func (p *Plan) keeps() []keep {
	var out []keep
	at, left := int64(0), p.Samples
	add := func(to int64, mute, cut bool) {
		if !cut {
			to = min(to, at+left)
		}
		if to <= at {
			return
		}
		if !cut {
			left -= to - at
		}
		out = append(out, keep{at, to, mute, cut})
		at = to
	}
	for _, pause := range p.Pauses {
		add(p.session(pause.From), false, false)
		add(p.session(pause.To), true, pause.Behavior == voice.PauseSkip)
	}
	add(at+left, false, false)
	if len(out) == 0 {
		out = append(out, keep{})
	}
	return out
}

func (r *renderer) run(ctx context.Context) error {
	lag := samples(timeline.MaxLate+margin, r.plan.SampleRate)
	end := r.kept[len(r.kept)-1].to
	var failed error
	err := each(r.plan.journal, nil, func(e *journal.Entry) {
		if failed != nil {
			return
		}
		r.facts.add(e)
		switch e.Kind {
		case journal.KindPaused, journal.KindResumed, journal.KindGap:
			for _, v := range r.voices {
				v.placer.Withheld()
				v.excuse = v.excuse || e.Kind != journal.KindGap
			}
		}
		if e.Kind != journal.KindPacket || int(e.Track) >= len(r.byNum) {
			return
		}
		v := r.byNum[e.Track]
		if v == nil {
			return
		}
		if ready := r.plan.session(e.At) - lag - r.done; ready >= chunk {
			failed = r.emit(ctx, r.done+ready/chunk*chunk)
		}
		r.place(v, e)
		for failed == nil && r.store.held > maxHeld && r.done < end {
			failed = r.emit(ctx, r.done+chunk)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if err := r.emit(ctx, end); err != nil {
		return err
	}
	if r.plan.layout.Progress != nil {
		r.plan.layout.Progress(r.file, r.plan.Samples)
	}
	return nil
}

// place finds out where a packet belongs, and has it wait for its turn.
func (r *renderer) place(v *voiced, e *journal.Entry) {
	f, packet := r.facts.track(e.Track).packet(e)
	at := v.placer.Place(packet)
	v.count(f, &at)
	v.arrive(f, e, &at, r.begin)
}

// emit writes the session up to a sample.
func (r *renderer) emit(ctx context.Context, until int64) error {
	for len(r.kept) > 0 && r.done < until {
		k := r.kept[0]
		to := min(until, k.to)
		if k.cut {
			r.pass(to)
		}
		for r.done < to {
			if err := r.write(int(min(chunk, to-r.done)), k.mute); err != nil {
				return err
			}
		}
		if r.done < k.to {
			break
		}
		if len(r.kept) == 1 {
			break
		}
		r.kept = r.kept[1:]
	}
	if r.calls++; r.plan.layout.Progress != nil && r.calls%progressEvery == 0 {
		r.plan.layout.Progress(r.file, r.plan.Samples)
	}
	return ctx.Err()
}

// pass leaves the session up to a sample out of the file. The packets in it are
// decoded all the same: decoders go on from them.
func (r *renderer) pass(to int64) {
	for r.done < to {
		r.done = min(r.done+chunk, to)
		for _, v := range r.voices {
			v.produce(r.done)
			v.lane.skip(r.done)
		}
	}
}

// write mixes and writes n samples. A paused stretch is silent whatever the
// tracks hold: the packet that arrives first after a pause was spoken in it.
func (r *renderer) write(n int, mute bool) error {
	sides := r.sides[:r.plan.Channels]
	var mixed [2]bool
	for i := range sides {
		clear(sides[i][:n])
	}
	for _, v := range r.voices {
		side := v.plan.Side
		v.produce(r.done + int64(n))
		if v.take(sides[side][:n], mixed[side], r.file, mute) {
			mixed[side] = true
		}
	}
	if mute {
		for i := range sides {
			clear(sides[i][:n])
		}
	}
	r.done += int64(n)
	r.file += int64(n)
	if r.peaks != nil {
		cut := [2][]int16{}
		for i := range sides {
			cut[i] = sides[i][:n]
		}
		r.peaks.add(cut[:len(sides)])
	}
	if len(sides) == 1 {
		return r.out.Write(sides[0][:n])
	}
	return r.out.WriteStereo(sides[0][:n], sides[1][:n])
}
