package prompt

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"tapedeck/internal/audio"
)

// shelf keeps the clips that were used last, up to so many bytes, and has each made
// by one at a time however many want it.
type shelf struct {
	most int64

	mu      sync.Mutex               // guards the rest; held for moments
	bytes   int64                    // when something was last put there
	used    *list.List               // of *kept, the last used first
	byName  map[string]*list.Element // the same ones
	flights map[string]*flight
}

// kept is a clip on the shelf.
type kept struct {
	name  string
	clip  *audio.Clip
	etag  string
	until time.Time // when it is to be asked for again; zero = never

	weight int64 // that is in the shelf's bytes
}

// flight is a clip that is being made.
type flight struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{} // closed when clip and err are set
	clip    *audio.Clip
	err     error
}

func newShelf(most int64) *shelf {
	return &shelf{most: most, used: list.New(), byName: map[string]*list.Element{}, flights: map[string]*flight{}}
}

// find returns what is on the shelf, nil if nothing is.
func (s *shelf) find(name string) *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byName[name]
	if !ok {
		return nil
	}
	s.used.MoveToFront(e)
	out := *e.Value.(*kept)
	return &out
}

// put keeps a clip, and lets go of those that were not used for longest. One that
// is larger than all of the shelf is not kept.
func (s *shelf) put(k kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(k.name)
	if k.size() > s.most {
		return
	}
	s.byName[k.name] = s.used.PushFront(&k)
	// Those that are there have grown, if they were played at other rates.
	s.bytes = 0
	for e := s.used.Front(); e != nil; e = e.Next() {
		s.bytes += e.Value.(*kept).weigh()
	}
	for s.bytes > s.most {
		s.drop(s.used.Back().Value.(*kept).name)
	}
}

// size is about what a clip takes.
func (k *kept) size() int64 { return k.clip.Size() + int64(len(k.name)+len(k.etag)) + 256 }

// weigh notes the size that counts.
func (k *kept) weigh() int64 {
	k.weight = k.size()
	return k.weight
}

func (s *shelf) drop(name string) {
	if e, ok := s.byName[name]; ok {
		s.bytes -= e.Value.(*kept).weight
		s.used.Remove(e)
		delete(s.byName, name)
	}
}

// safely makes a panic an error: it is of one file, or of one engine.
func safely(ctx context.Context, makeIt func(context.Context) (*audio.Clip, error)) (clip *audio.Clip, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			clip, err = nil, fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	return makeIt(ctx)
}

// size is how many bytes are on the shelf.
func (s *shelf) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// once has the clip made, or waits for who makes it already. Who makes it is told
// to stop when nobody waits any more. The goroutine is start's.
func (s *shelf) once(ctx context.Context, name string, start func(func()), makeIt func(context.Context) (*audio.Clip, error)) (*audio.Clip, error) {
	s.mu.Lock()
	f, ok := s.flights[name]
	if !ok {
		free, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{cancel: cancel, done: make(chan struct{})}
		s.flights[name] = f
		start(func() {
			defer cancel()
			clip, err := safely(free, makeIt)
			s.mu.Lock()
			defer s.mu.Unlock()
			f.clip, f.err = clip, err
			if s.flights[name] == f {
				delete(s.flights, name)
			}
			close(f.done)
		})
	}
	f.waiting++
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.clip, f.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if s.flights[name] == f { // who comes now begins anew
			delete(s.flights, name)
		}
	}
	return nil, ctx.Err()
}
