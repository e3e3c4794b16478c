package publish

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
)

// snapshot is a file without a name that several read, each from its own place.
// It vanishes when the last of them has closed it.
type snapshot struct {
	file   *os.File
	size   int64
	sha256 string // empty = not known

	mu      sync.Mutex // guards readers; held for nanoseconds
	readers int
}

// open gives one of the readers that are counted already.
func (s *snapshot) open() io.ReadSeekCloser {
	return &reader{SectionReader: io.NewSectionReader(s.file, 0, s.size), close: sync.OnceValue(s.leave)}
}

// leave is the end of one reader.
func (s *snapshot) leave() error {
	s.mu.Lock()
	s.readers--
	last := s.readers == 0
	s.mu.Unlock()
	if last {
		return s.file.Close()
	}
	return nil
}

type reader struct {
	*io.SectionReader

	close func() error
}

// Close may be called again.
func (r *reader) Close() error { return r.close() }

// snapshots lets all who ask for the same before its making has begun share what
// is made: however many ask for a running recording again and again, one file of
// it waits for a place at a time.
type snapshots struct {
	mu   sync.Mutex // guards open, and what flights say of themselves; held for nanoseconds
	open map[string]*flight
}

// flight is a snapshot on its way.
type flight struct {
	landed chan struct{} // closed by who makes it; nobody sends
	over   bool          // landed is closed
	others int           // who waits beside the one who makes it
	made   *snapshot     // nil = err
	err    error
}

// get returns the snapshot of a key, with a reader of it counted for the caller.
// fill is told what to call when it begins to look at what it makes the snapshot
// of; who asks later gets another.
func (s *snapshots) get(ctx context.Context, key string, fill func(begun func()) (*snapshot, error)) (*snapshot, error) {
	for {
		f, mine := s.board(key)
		if mine {
			return s.lead(key, f, fill)
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), s.giveUp(f))
		}
		if f.err == nil {
			return f.made, nil
		}
		// Who made it may have gone away, which is no reason for the others.
		if !errors.Is(f.err, context.Canceled) || ctx.Err() != nil {
			return nil, f.err
		}
	}
}

// board joins the flight of the key, or begins one, which is the caller's.
func (s *snapshots) board(key string) (f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.open[key]; f != nil {
		f.others++
		return f, false
	}
	if s.open == nil {
		s.open = map[string]*flight{}
	}
	f = &flight{landed: make(chan struct{})}
	s.open[key] = f
	return f, true
}

// lead makes the snapshot for all who wait.
func (s *snapshots) lead(key string, f *flight, fill func(begun func()) (*snapshot, error)) (made *snapshot, err error) {
	begun := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[key] == f {
			delete(s.open, key)
		}
	}
	err = errors.New("making it broke off") // unless fill returns
	defer func() {
		begun()
		s.mu.Lock()
		defer s.mu.Unlock()
		if made != nil {
			made.readers = 1 + f.others // nobody else has it yet
		}
		f.made, f.err, f.over = made, err, true
		close(f.landed)
	}()
	return fill(begun)
}

// giveUp is the end of somebody who waits.
func (s *snapshots) giveUp(f *flight) error {
	s.mu.Lock()
	over := f.over
	if !over {
		f.others--
	}
	s.mu.Unlock()
	if over && f.made != nil {
		return f.made.leave()
	}
	return nil
}
