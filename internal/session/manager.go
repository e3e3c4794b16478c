package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/codec"
	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Manager works with. Agent, Media, Recorder, DB and Now
// are needed; the rest has a default.
type Options struct {
	Agent    *sip.Agent
	Media    *media.Engine
	Recorder *recorder.Recorder
	DB       *store.DB

	// Sounds makes what calls are to hear, Ears understand what is said. Nil = the
	// commands that need it fail and say so.
	Sounds Sounds
	Ears   Ears

	// Now is the process's monotonic clock, the one that media and recorder use.
	Now func() time.Duration
	// Wake tells who does jobs of this kind that one was stored. Nil = nobody to tell.
	Wake func(kind string)

	Codecs       []codec.Info  // what the server speaks, best first; empty = opus, G722, PCMU, PCMA as far as they can be encoded, telephone-event
	MaxRecording time.Duration // cap of every recording's length; 0 = 4 h
	MediaTimeout time.Duration // a party without media for so long is hung up; 0 = never
	MaxSessions  int           // more at once are refused; 0 = no limit

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Manager holds the running sessions and hands API verbs and incoming calls to
// them. Its methods may be called from any goroutine.
type Manager struct {
	o       Options
	log     *slog.Logger
	metrics *metrics

	mu       sync.RWMutex
	calls    map[voice.CallID]*handle
	running  int
	draining bool
	idle     chan struct{} // closed by the last session to end while draining

	closing chan struct{} // closed by Close: every session hangs up
	close   sync.Once
	wg      sync.WaitGroup
}

// handle is the outside view of one live call. The session goroutine writes
// the snapshots, everybody reads them.
type handle struct {
	session    *session
	call       atomic.Pointer[voice.Call]
	recordings atomic.Pointer[[]voice.Recording]
}

// New makes a Manager. It starts nothing.
func New(o Options) (*Manager, error) {
	if o.Agent == nil || o.Media == nil || o.Recorder == nil || o.DB == nil || o.Now == nil {
		return nil, errors.New("session: Agent, Media, Recorder, DB and Now are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wake == nil {
		o.Wake = func(string) {}
	}
	if o.MaxRecording <= 0 {
		o.MaxRecording = 4 * time.Hour
	}
	if len(o.Codecs) == 0 {
		o.Codecs = codecsNamed([]string{codec.Opus, codec.G722, codec.PCMU, codec.PCMA})
	}
	m := &Manager{
		o: o, log: o.Logger,
		calls: map[voice.CallID]*handle{},
		idle:  make(chan struct{}), closing: make(chan struct{}),
	}
	m.metrics = newMetrics(o.Registerer, m)
	return m, nil
}

// Call returns a snapshot of a live call. It reports false when no such call
// lives: it never did, or it ended and its last state is in the store.
func (m *Manager) Call(id voice.CallID) (voice.Call, bool) {
	h := m.find(id)
	if h == nil {
		return voice.Call{}, false
	}
	return *h.call.Load(), true
}

// Recordings returns the recordings asked for on a live call, oldest first. It
// reports false when the call does not live.
func (m *Manager) Recordings(id voice.CallID) ([]voice.Recording, bool) {
	h := m.find(id)
	if h == nil || h.call.Load().Status.Terminal() {
		return nil, false
	}
	if recs := h.recordings.Load(); recs != nil {
		return *recs, true
	}
	return nil, true
}

// Counts returns how many calls live, by status.
func (m *Manager) Counts() map[voice.CallStatus]int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	counts := map[voice.CallStatus]int{}
	for _, h := range m.calls {
		counts[h.call.Load().Status]++
	}
	return counts
}

func (m *Manager) find(id voice.CallID) *handle {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.calls[id]
}

func (m *Manager) add(s *session, call voice.Call) *handle {
	h := &handle{session: s}
	h.call.Store(&call)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[call.ID] = h
	return h
}

func (m *Manager) remove(id voice.CallID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.calls, id)
}

// admit counts a new session in, or says why there is no place for it.
func (m *Manager) admit() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.draining:
		return &voice.Error{Code: voice.CodeUnavailable, Message: "The server is shutting down and takes no new calls", RetryAfter: 10 * time.Second}
	case m.o.MaxSessions > 0 && m.running >= m.o.MaxSessions:
		return &voice.Error{Code: voice.CodeUnavailable, Message: "The server has no room for another call", RetryAfter: 5 * time.Second}
	}
	m.running++
	m.wg.Add(1)
	return nil
}

func (m *Manager) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	if m.draining && m.running == 0 {
		close(m.idle)
	}
	m.wg.Done()
}

// Drain refuses new calls from now on, and waits until the running ones have
// ended or ctx is done. It may be called once.
func (m *Manager) Drain(ctx context.Context) error {
	m.mu.Lock()
	if !m.draining {
		m.draining = true
		if m.running == 0 {
			close(m.idle)
		}
	}
	m.mu.Unlock()
	select {
	case <-m.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Draining reports whether new calls are refused because of a shutdown.
func (m *Manager) Draining() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.draining
}

// ending reports whether Close was called.
func (m *Manager) ending() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

// Close hangs up every call, and returns when all sessions have ended: their
// captures closed, their last state committed. It may be called again.
func (m *Manager) Close() error {
	m.mu.Lock()
	if !m.draining {
		m.draining = true
		if m.running == 0 {
			close(m.idle)
		}
	}
	m.mu.Unlock()
	m.close.Do(func() { close(m.closing) })
	m.wg.Wait()
	return nil
}

// ask runs do in the goroutine of the session that owns the call, and waits
// for the answer. do may answer later, from any message of the session.
func ask[T any](ctx context.Context, m *Manager, id voice.CallID, do func(s *session, l *leg, reply func(T, error))) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	h := m.find(id)
	if h == nil {
		return none, voice.NotFound("call")
	}
	answers := make(chan answer, 1) // sent to by reply; a second answer is dropped
	reply := func(value T, err error) {
		select {
		case answers <- answer{value, err}:
		default:
		}
	}
	s := h.session
	put := s.inbox.put(func() {
		l := s.leg(id)
		if l == nil || l.ended {
			reply(none, errCallEnded())
			return
		}
		do(s, l, reply)
	})
	if !put {
		return none, errCallEnded()
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-s.done:
		select {
		case a := <-answers:
			return a.value, a.err
		default:
			return none, errCallEnded()
		}
	}
}

func errCallEnded() error {
	return &voice.Error{Code: voice.CodeCallNotActive, Message: "The call has ended: it takes no more commands"}
}
