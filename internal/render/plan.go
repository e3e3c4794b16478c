package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/timeline"
	"tapedeck/internal/voice"
)

// Layout says what file to make of a journal.
type Layout struct {
	// Stereo puts what the party of the recording's call says left, and what that
	// party hears right. Otherwise both are mixed into one channel.
	Stereo    bool
	Swap      bool          // exchange left and right; without Stereo it does nothing
	MaxLength time.Duration // of the file; 0 = no limit

	// Peaks takes the peaks of the file, for ReadPeaks; nil = nobody draws it.
	Peaks io.Writer

	// EndCause is taken for a journal without an end record: empty while capture
	// goes on, node-lost after a crash.
	EndCause voice.EndCause
	// Ended is when capture ended, for a journal without an end record: what lies
	// between its last entry and then never reached the disk. Zero = not known.
	Ended    time.Time
	Software string                  // name and version for the receipt
	Progress func(done, total int64) // called now and then by Write, in samples; nil = nobody looks
	Desk     *Desk                   // that Make and Write work on; nil = one of their own
}

// ErrNotBegun means that capture never began: there is no audio, not even
// silence, to make a file of.
var ErrNotBegun = errors.New("recording never began")

// defaultRate is taken for a journal that does not say its sample rate, Hz.
const defaultRate = 8000

// Plan is what Write will do. Times are on the journal's clock. As JSON it shows
// every decision that was made.
type Plan struct {
	SampleRate int            `json:"sampleRate"`
	Channels   int            `json:"channels"`
	Samples    int64          `json:"samples"` // of the file, per channel
	Begin      time.Duration  `json:"beginNs"` // sample 0
	End        time.Duration  `json:"endNs"`
	Wall       time.Time      `json:"wall"`              // of Begin
	Swapped    bool           `json:"swapped,omitempty"` // left and right are exchanged
	Stopped    bool           `json:"stopped"`
	EndCause   voice.EndCause `json:"endCause,omitempty"`
	Tracks     []TrackPlan    `json:"tracks"`
	Pauses     []Pause        `json:"pauses,omitempty"`
	Gaps       []Gap          `json:"gaps,omitempty"`

	header  journal.Header
	digest  JournalDigest
	layout  Layout
	journal *journal.Reader
}

// TrackPlan is what becomes of one track.
type TrackPlan struct {
	Number int          `json:"track"`
	Call   voice.CallID `json:"callId"`
	Party  string       `json:"party"`
	Role   voice.Role   `json:"role"`
	Side   int          `json:"side"` // channel of the file; 0 = first (left)
	Always bool         `json:"always,omitempty"`
	// Uncertain: what says whose track this is was in a damaged part of the journal.
	Uncertain bool `json:"attribution_uncertain,omitempty"`
	// Unheard is what came beside the track's packets, as its end in the journal says.
	Unheard *journal.Unheard `json:"unheard,omitempty"`
	Heard   []Span           `json:"heard,omitempty"` // when it is in the file, unless always
	Clock   timeline.Map     `json:"clock"`
}

// Span is a time on the journal's clock, from its beginning to before its end.
type Span struct {
	From time.Duration `json:"fromNs"`
	To   time.Duration `json:"toNs"`
}

// Pause is a time in which the gate was shut.
type Pause struct {
	Span
	Behavior voice.PauseBehavior `json:"pauseBehavior"`
	Open     bool                `json:"open,omitempty"` // until the end
}

// Gap is a time in which packets were lost by the recorder.
type Gap struct {
	Span
	Lost uint64 `json:"lost"`
	// Damaged: bytes of the journal are damaged; how many packets were in them is not known.
	Damaged bool `json:"damaged,omitempty"`
	Tail    bool `json:"tail,omitempty"` // the end of the recording never reached the disk; what it was is not known
}

// Make reads the journal once and plans the file. It fails with ErrNotBegun when
// capture never began. The journal must stay open until Write is done.
func Make(j *journal.Reader, l Layout) (*Plan, error) {
	hash := sha256.New()
	j.Tee(hash)
	defer j.Tee(nil)
	if err := j.Rewind(); err != nil {
		return nil, fmt.Errorf("plan the file: %w", err)
	}
	if l.Desk == nil {
		l.Desk = NewDesk()
	}
	l.Desk.ready()
	f := newFacts(l.Desk)
	err := each(j, f.damage, func(e *journal.Entry) {
		f.add(e)
		if e.Kind != journal.KindPacket && e.Kind != journal.KindSenderReport {
			return
		}
		t := f.track(e.Track)
		if t.survey == nil {
			t.survey = timeline.NewSurvey()
		}
		if r := &e.Report; e.Kind == journal.KindSenderReport {
			t.survey.Report(timeline.Report{Arrival: e.At, SSRC: r.SSRC, NTP: r.NTP, Time: r.RTPTime})
			return
		}
		c, packet := t.packet(e)
		if c != nil {
			f.source(c) // also one that nobody spoke of: the file is never below a source
		}
		t.survey.Add(packet)
	})
	if err != nil {
		return nil, fmt.Errorf("plan the file: %w", err)
	}
	if !f.begun {
		return nil, fmt.Errorf("plan the file of %s: %w", j.Path(), ErrNotBegun)
	}
	h, s := j.Header(), j.Stats()
	p := &Plan{
		SampleRate: fileRate(f.rate, h.SampleRate),
		Channels:   1,
		Begin:      f.begin,
		End:        max(f.last, f.begin),
		Wall:       f.wall,
		EndCause:   l.EndCause,
		Pauses:     f.pauses,
		Gaps:       f.gaps,
		header:     h,
		layout:     l,
		journal:    j,
		digest: JournalDigest{
			Size: j.Size(), SHA256: hex.EncodeToString(hash.Sum(nil)), Blocks: s.Blocks,
			CorruptParts: s.Corrupt, CorruptBytes: s.Lost, TornBytes: s.Torn,
		},
	}
	if l.Stereo {
		p.Channels, p.Swapped = 2, l.Swap
	}
	if f.stopped {
		p.Stopped, p.End, p.EndCause = true, max(f.stop, f.begin), f.cause
	}
	p.lostTail()
	p.layOut(f)
	p.measure()
	return p, nil
}

// lostTail notes that capture went on when the journal did not: the disk failed
// and the end record was lost with what came before it.
func (p *Plan) lostTail() {
	if p.Stopped || p.layout.Ended.IsZero() {
		return
	}
	ended := p.Begin + p.layout.Ended.Sub(p.Wall)
	if ended-p.End > time.Millisecond { // less is the rounding of wall clocks
		p.Gaps = append(p.Gaps, Gap{Span: Span{p.End, ended}, Tail: true})
	}
}

// fileRate is the sample rate of the file for sources of up to a rate: a usual
// one, so that every player takes it.
func fileRate(sources, header int) int {
	if sources <= 0 {
		sources = header
	}
	if sources <= 0 {
		sources = defaultRate
	}
	usual := []int{8000, 16000, 24000, 32000, 44100, 48000, 96000}
	for _, r := range usual {
		if r >= sources {
			return r
		}
	}
	return usual[len(usual)-1]
}

// each gives every entry to fn. Corrupt parts are passed over, after damaged was
// called, when it is not nil; the journal counts them.
func each(j *journal.Reader, damaged func(), fn func(*journal.Entry)) error {
	var e journal.Entry
	var bad *journal.CorruptError
	for {
		err := j.Next(&e)
		switch {
		case err == nil:
			fn(&e)
		case errors.Is(err, io.EOF):
			return nil
		case !errors.As(err, &bad):
			return err
		case damaged != nil:
			damaged()
		}
	}
}

// layOut decides about tracks and pauses.
func (p *Plan) layOut(f *facts) {
	p.layOutPauses()
	p.Tracks = []TrackPlan{}
	for _, n := range f.numbers() {
		t := f.tracks[n]
		plan := TrackPlan{Number: int(n), Call: t.call, Party: t.party, Role: t.role, Unheard: t.unheard, Uncertain: !t.known}
		own := t.call == voice.CallID(p.header.Call)
		switch {
		case own && t.role != voice.RoleSystem:
			plan.Always = true
		case own:
			plan.Side, plan.Always = 1, true // what we play to the party
		case t.role == voice.RoleSystem:
			plan.Side = 1 // what we play to somebody else
		default:
			plan.Side, plan.Heard = 1, f.joined(p.header.Call, string(t.call), p.End)
		}
		switch {
		case p.Channels == 1:
			plan.Side = 0
		case p.layout.Swap:
			plan.Side = 1 - plan.Side
		}
		if t.survey != nil {
			plan.Clock = *t.survey.Finish()
		}
		p.Tracks = append(p.Tracks, plan)
	}
}

// layOutPauses gives every pause an end, within the session and before the next
// pause: where the entry that ended one was lost, more is not known.
func (p *Plan) layOutPauses() {
	next := p.End
	for i := len(p.Pauses) - 1; i >= 0; i-- {
		pause := &p.Pauses[i]
		if pause.Open {
			pause.To = p.End
			pause.Open = i == len(p.Pauses)-1
		}
		pause.From = min(max(pause.From, p.Begin), next)
		pause.To = min(max(pause.To, pause.From), next)
		next = pause.From
	}
}

// measure decides how long the file is.
func (p *Plan) measure() {
	p.Samples = p.session(p.End)
	for _, pause := range p.Pauses {
		if pause.Behavior == voice.PauseSkip {
			p.Samples -= p.session(pause.To) - p.session(pause.From)
		}
	}
	if p.layout.MaxLength <= 0 {
		return
	}
	limit := samples(p.layout.MaxLength, p.SampleRate)
	// The timer that stops a recording at its full length may be a moment early;
	// the file has its full length all the same.
	const early = 100 * time.Millisecond
	if p.EndCause == voice.EndMaxLength && limit-p.Samples <= samples(early, p.SampleRate) {
		p.Samples = limit
	}
	p.Samples = min(p.Samples, limit)
}

// session is the sample of the session's clock at a time of the journal's. It is
// negative before Begin.
func (p *Plan) session(at time.Duration) int64 {
	return samples(at, p.SampleRate) - samples(p.Begin, p.SampleRate)
}

// samples is the number of the sample nearest to a time.
func samples(d time.Duration, rate int) int64 {
	whole, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second) / 2
	if rest < 0 {
		half = -half
	}
	return whole*int64(rate) + (rest*int64(rate)+half)/int64(time.Second)
}
