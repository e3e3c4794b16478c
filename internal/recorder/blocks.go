package recorder

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// slabBlocks are asked of the system at once.
	slabBlocks = 64
	// warmBlocks are those that nobody uses and that keep their memory: a second of a
	// disk that hangs fills thousands, which must not stay with the process for good.
	warmBlocks = 256
)

// memory is what a block takes.
type memory = [blockMemory]byte

// blocks lends the memory of blocks. It is not of the Go heap: it is a large part of
// what a call needs, holds no pointers and has one owner at a time, and in the heap it
// would let half as much garbage again lie about.
type blocks struct {
	// Those that nobody uses. The second kind has given its pages back, and is taken only
	// when there is none of the first. Neither is ever closed; each has room for all that
	// are in slabs.
	free, cold chan *memory

	beyond atomic.Bool // some were of the heap

	mu     sync.Mutex // leaf; guards the rest
	slabs  [][]byte
	made   int // blocks in slabs
	closed bool
}

// newBlocks has so many bytes in slabs at most; more of them come from the heap.
func newBlocks(bytes int64) *blocks {
	most := (bytes/blockMemory/slabBlocks + 1) * slabBlocks
	return &blocks{free: make(chan *memory, most), cold: make(chan *memory, most)}
}

// get does not wait.
func (p *blocks) get() *memory {
	select {
	case m := <-p.free:
		return m
	default:
	}
	select {
	case m := <-p.cold:
		return m
	default:
		return p.more()
	}
}

// more makes a slab, and returns a block of it.
func (p *blocks) more() *memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.made == cap(p.free) {
		p.beyond.Store(true)
		return new(memory)
	}
	slab, err := reserve(slabBlocks * blockMemory)
	if err != nil { // the heap says it louder, when it has none either
		p.beyond.Store(true)
		return new(memory)
	}
	p.slabs = append(p.slabs, slab)
	p.made += slabBlocks
	all := slices.Collect(slices.Chunk(slab, blockMemory))
	for _, m := range all[1:] {
		p.free <- (*memory)(m)
	}
	return (*memory)(all[0])
}

// put takes back what get gave.
func (p *blocks) put(m *memory) {
	if p.beyond.Load() && !p.owns(m) {
		return // the garbage collector's
	}
	if len(p.free) < warmBlocks {
		p.free <- m
		return
	}
	forget(m[:])
	p.cold <- m
}

// owns says whether memory is of a slab.
func (p *blocks) owns(m *memory) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.slabs, func(s []byte) bool {
		return uintptr(unsafe.Pointer(m))-uintptr(unsafe.Pointer(&s[0])) < uintptr(len(s))
	})
}

// close gives the memory back if nobody holds any of it.
func (p *blocks) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for empty := false; !empty; {
		select {
		case <-p.free:
			p.made--
		case <-p.cold:
			p.made--
		default:
			empty = true
		}
	}
	if p.made > 0 {
		return nil
	}
	var errs []error
	for _, s := range p.slabs {
		errs = append(errs, giveBack(s))
	}
	p.slabs = nil
	return errors.Join(errs...)
}
