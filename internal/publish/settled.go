package publish

import (
	"sync"
	"time"

	"tapedeck/internal/voice"
)

// settled tells those who wait that some render was made, or was not.
type settled struct {
	mu   sync.Mutex    // guards news; held for nanoseconds
	news chan struct{} // closed by tell; nobody sends
}

// next returns a channel that is closed by the next tell.
func (s *settled) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.news == nil {
		s.news = make(chan struct{})
	}
	return s.news
}

func (s *settled) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}

// progress knows how far the renders are that are being made.
type progress struct {
	mu  sync.Mutex // guards all; held for nanoseconds
	all map[voice.RenderID]*step
}

type step struct {
	began       time.Time
	done, total int64
}

// of returns what to call with the progress of a render.
func (p *progress) of(id voice.RenderID) func(done, total int64) {
	began := time.Now()
	return func(done, total int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.all == nil {
			p.all = map[voice.RenderID]*step{}
		}
		p.all[id] = &step{began, done, total}
	}
}

func (p *progress) end(id voice.RenderID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, id)
}

// left guesses how long a render still takes, between 2 s and 5 min; one that is
// not begun, or hardly, is said to take 10 s.
func (p *progress) left(id voice.RenderID) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.all[id]
	if s == nil || s.done <= 0 {
		return 10 * time.Second
	}
	rest := time.Duration(float64(time.Since(s.began)) * float64(s.total-s.done) / float64(s.done))
	return min(max(rest, 2*time.Second), 5*time.Minute)
}
