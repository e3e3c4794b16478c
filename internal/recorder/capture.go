package recorder

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

const (
	// blockMemory holds more than 400 ms of two G.711 parties (7.4 kB), so a full
	// block is the exception and the tick the rule. It is whole pages.
	blockMemory = 8 << 10
	// maxHistory bounds the control entries that are restated. A recording with
	// more of them has its later ones once in the file, like its packets.
	maxHistory = 4 << 10
	// maxTracks is how many tracks the format has numbers for. A number that came
	// again would put one party's words into another's mouth.
	maxTracks = 1 << 16
)

// EventKind says what happened to a capture.
type EventKind uint8

// The events of a capture. Opened comes first unless Failed does; exactly one
// of Closed and Failed comes last.
const (
	Opened   EventKind = iota + 1 // the journal exists and is safe on disk
	Failed                        // no more is recorded; what is on disk stays there
	Closed                        // stopped, and everything taken before is safe on disk
	Overflow                      // packets were lost because the disk was too slow; recording goes on
)

// Event tells the owner of a capture what happened to it.
type Event struct {
	Kind EventKind
	Err  error  // Failed
	Path string // of the journal
	Lost uint64 // Overflow: packets lost since the last such event
}

// Spec says what a capture is for.
type Spec struct {
	Recording  voice.RecordingID
	Workspace  voice.WorkspaceID
	Channel    voice.ChannelID
	Call       voice.CallID
	Stereo     bool
	MaxLength  time.Duration // of the file; 0 = no limit. Kept for the renderer, not enforced here
	SampleRate int           // of the file, Hz; 0 = 8000
	Wall       time.Time     // now, by the wall clock
	Notify     func(Event)   // called by one goroutine, must not block; nil = nobody listens
}

// Codec is one payload type that a track may carry.
type Codec = journal.Codec

// Capture is one recording while it runs. Its methods may be called from any
// goroutine; the session calls them.
type Capture struct {
	// What every packet needs comes first, in one cache line: see Track.
	start time.Duration // of the journal's clock

	// mu is a leaf lock held for nanoseconds: never across I/O, never with another
	// one. Packets and markers of all tracks go through it, which is what makes
	// their order in the file the order of their arrival, and a pause fail-closed.
	mu      sync.Mutex
	since   time.Duration // packets that arrived before are not taken
	fill    journal.Block // itself, not a pointer to where it is: that would be one more place
	lost    uint64        // in the gap that is open now
	packets uint32        // taken since the writer came by
	open    bool          // begun, not paused, not stopped, not failed: packets are taken

	begun    bool
	paused   bool
	stopped  bool
	dead     bool // failed
	resumed  bool // the gate was shut before
	begin    time.Duration
	wall     time.Time
	offset   time.Duration // of the stop
	full     []journal.Block
	tracks   uint32   // opened so far, at most maxTracks
	all      []*Track // that are open
	lostFrom time.Duration
	history  []byte // control entries so far, to be restated

	r     *Recorder
	spec  Spec
	path  string
	share uint32 // of the writer's round that it belongs to

	untold atomic.Uint64 // lost packets that Notify was not told of

	writing writing // the writer's own state
	syncing syncing // the syncer's own state

	// What the writer tells the syncer.
	created atomic.Bool           // the file exists
	dirty   atomic.Bool           // there is something to fsync
	drained atomic.Bool           // the writer is done with it; set after failure
	failure atomic.Pointer[error] // why it failed
}

// resumeGuard keeps the gate shut a little longer than the pause: a packet that
// comes right after it holds what was said before, up to the longest packet
// time that is spoken (60 ms).
const resumeGuard = 60 * time.Millisecond

// Begin starts capture: this instant is sample 0. Before it, tracks drop what
// they are given. A second Begin changes nothing.
func (c *Capture) Begin(at time.Duration, wall time.Time) {
	encoded := c.encode(journal.Entry{Kind: journal.KindBegin, At: at - c.start, Detail: journal.Detail{Wall: wall}})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun || c.stopped || c.dead {
		return
	}
	c.begun, c.open = true, true
	c.begin, c.since, c.wall = at, at, wall
	c.put(encoded, true)
}

// Joined notes that two calls hear each other from now on.
func (c *Capture) Joined(at time.Duration, a, b voice.CallID) {
	c.note(journal.Entry{Kind: journal.KindJoined, At: at - c.start, Detail: journal.Detail{Call: string(a), Other: string(b)}})
}

// Parted notes that two calls no longer hear each other.
func (c *Capture) Parted(at time.Duration, a, b voice.CallID) {
	c.note(journal.Entry{Kind: journal.KindParted, At: at - c.start, Detail: journal.Detail{Call: string(a), Other: string(b)}})
}

// Held notes that a call was put on hold, or taken off it.
func (c *Capture) Held(at time.Duration, call voice.CallID, held bool) {
	c.note(journal.Entry{Kind: journal.KindHeld, At: at - c.start, Detail: journal.Detail{Call: string(call), Held: held}})
}

// Pause shuts the gate. When it returns, no later packet of any track can reach
// memory or disk, and the marker is in its place. The offset is since Begin.
func (c *Capture) Pause(b voice.PauseBehavior) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refusal(); err != nil {
		return 0, fmt.Errorf("pause recording %s: %w", c.spec.Recording, err)
	}
	if c.paused {
		return 0, fmt.Errorf("pause recording %s: %w", c.spec.Recording, ErrPaused)
	}
	c.endPresses(c.r.o.Now())
	c.open, c.paused = false, true
	if b == "" {
		b = voice.PauseSilence
	}
	return c.mark(journal.KindPaused, journal.Detail{Behavior: string(b)}), nil
}

// Resume opens the gate again. The offset is since Begin.
func (c *Capture) Resume() (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refusal(); err != nil {
		return 0, fmt.Errorf("resume recording %s: %w", c.spec.Recording, err)
	}
	if !c.paused {
		return 0, fmt.Errorf("resume recording %s: %w", c.spec.Recording, ErrNotPaused)
	}
	at := c.mark(journal.KindResumed, journal.Detail{})
	c.open, c.paused, c.resumed = true, false, true
	c.since = c.begin + at + resumeGuard
	return at, nil
}

// Stop ends capture at once. Flush, fsync and close happen afterwards, then
// Notify gets Closed. The offset is since Begin, 0 without one; a second Stop
// returns the first one's, with ErrStopped.
func (c *Capture) Stop(cause voice.EndCause) (time.Duration, error) {
	offset, err := c.stop(cause)
	if err != nil {
		return offset, fmt.Errorf("stop recording %s: %w", c.spec.Recording, err)
	}
	c.r.toWrite.add(c, &c.writing.called)
	return offset, nil
}

func (c *Capture) stop(cause voice.EndCause) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return c.offset, ErrStopped
	case c.dead:
		return 0, ErrFailed
	}
	c.open, c.stopped = false, true
	c.endPresses(c.r.o.Now())
	c.closeGap(true)
	c.offset = c.mark(journal.KindStop, journal.Detail{Cause: string(cause), Wall: c.wall})
	return c.offset, nil
}

// refusal says why a command cannot be carried out; mu is held.
func (c *Capture) refusal() error {
	switch {
	case c.dead:
		return ErrFailed
	case c.stopped:
		return ErrStopped
	case !c.begun:
		return ErrNotBegun
	}
	return nil
}

// mark puts an entry of this instant and returns its offset since Begin; mu is
// held, so that no packet comes between the clock and the entry.
func (c *Capture) mark(k journal.Kind, d journal.Detail) time.Duration {
	now := c.r.o.Now()
	if c.begun {
		d.Offset = max(0, now-c.begin)
	}
	c.put(c.encode(journal.Entry{Kind: k, At: now - c.start, Detail: d}), true)
	return d.Offset
}

// note puts a control entry that speaks of the call.
func (c *Capture) note(e journal.Entry) {
	encoded := c.encode(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped && !c.dead {
		c.put(encoded, true)
	}
}

// encode cannot fail but by an absurdly long party or codec list, which is cut.
func (c *Capture) encode(e journal.Entry) []byte {
	encoded, err := journal.Encode(&e)
	if err == nil {
		return encoded
	}
	e.Detail.Party, e.Detail.Codecs = "", nil
	if encoded, err = journal.Encode(&e); err != nil {
		c.r.o.Logger.Error("control entry was not recorded", "recording", c.spec.Recording, "error", err)
		return nil
	}
	return encoded
}

// put appends a control entry, whatever the buffer says; mu is held.
func (c *Capture) put(encoded []byte, keep bool) {
	if c.fill.None() || !c.fill.Encoded(encoded) {
		c.turn(true)
		c.fill.Encoded(encoded) // at most MaxDetail, fits an empty block
	}
	if keep && len(c.history)+len(encoded) <= maxHistory {
		at := len(c.history)
		c.history = append(c.history, encoded...)
		if len(encoded) > 0 {
			journal.Restated(c.history[at:])
		}
	}
}

// turn sets the full block aside and begins a new one. It reports false when
// there is no memory left, which a control entry does not ask for; mu is held.
func (c *Capture) turn(must bool) bool {
	if !c.fill.None() {
		c.full = append(c.full, c.fill)
	}
	c.fill = c.r.block(must)
	return !c.fill.None()
}

// closeGap writes down the packets that were lost; mu is held.
func (c *Capture) closeGap(must bool) {
	if c.lost == 0 || c.fill.None() && !c.turn(must) {
		return
	}
	now := c.r.o.Now()
	c.put(c.encode(journal.Entry{Kind: journal.KindGap, At: now - c.start, Detail: journal.Detail{
		From: c.lostFrom - c.start, Lost: c.lost,
	}}), false)
	c.lost = 0
}

// lose counts a packet that there was no memory for; mu is held.
func (c *Capture) lose(at time.Duration) {
	if c.lost == 0 {
		c.lostFrom = at
	}
	c.lost++
	c.untold.Add(1)
	c.r.metrics.lost.Inc()
}

// detach takes the blocks that are ready, with the filling one when all is
// asked for or capture ended. It reports whether that was the last of it.
func (c *Capture) detach(dst []journal.Block, all bool) (_ []journal.Block, packets uint64, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = append(dst, c.full...)
	clear(c.full)
	c.full = c.full[:0]
	last = c.stopped || c.dead
	if (all || last) && !c.fill.None() {
		dst = append(dst, c.fill)
		c.fill = journal.Block{}
	}
	packets, c.packets = uint64(c.packets), 0
	return dst, packets, last
}

// restated returns the control entries so far in blocks of their own.
func (c *Capture) restated() (b journal.Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.history) == 0 {
		return b
	}
	b = c.r.block(true)
	b.Encoded(c.history) // at most maxHistory
	return b
}

// kill shuts the gate for ever after a failure.
func (c *Capture) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.dead = false, true
}
