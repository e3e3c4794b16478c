package bench

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// paceEvery is how often a core is looked at, paceWork how much it has to do then: some
	// 30 µs, a thousandth of the time.
	paceEvery = 25 * time.Millisecond
	paceWork  = 25_000
	// paceOdd is which part of the looks is left out, those that took longest: something
	// came between.
	paceOdd = 10
)

// pace looks how fast the server's cores are while a step runs. A core of a virtual machine
// is often half of a real one, whose other half is somebody else's. What that one does is
// in no count of stolen time, and slows ours by up to a half.
type pace struct {
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	looks []time.Duration
}

// startPace looks at the cores until slowed is called.
func startPace(cores []int) *pace {
	p := &pace{stop: make(chan struct{})}
	for _, core := range cores {
		p.done.Go(func() { p.look(core) })
	}
	return p
}

// look does the same work again and again.
func (p *pace) look(core int) {
	runtime.LockOSThread() // for good: the thread ends with what was set for it
	goFirstOn(core)
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	sum := uint32(0)
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			began := time.Now()
			sum = chores(sum, paceWork)
			took := time.Since(began)
			p.mu.Lock()
			p.looks = append(p.looks, took)
			p.mu.Unlock()
		}
	}
}

// chores keep all units of a core busy that count: steps that do not wait for each other.
func chores(seed uint32, n int) uint32 {
	a, b, c, d := seed|1, seed+2, seed+3, seed+4
	for range n {
		a += a << 3
		b ^= b >> 5
		c += c << 7
		d ^= d >> 9
	}
	return a ^ b ^ c ^ d
}

// slowed ends it, and says by which share the cores needed longer for the same than when
// nobody slowed them.
func (p *pace) slowed() float64 {
	close(p.stop)
	p.done.Wait()
	return slowness(p.looks)
}

// slowness compares what looks took on the whole with the shortest of them.
func slowness(looks []time.Duration) float64 {
	slices.Sort(looks)
	looks = looks[:len(looks)-len(looks)/paceOdd]
	if len(looks) == 0 || looks[0] <= 0 {
		return 0
	}
	sum := time.Duration(0)
	for _, took := range looks {
		sum += took
	}
	return float64(sum)/float64(len(looks))/float64(looks[0]) - 1
}
