package media

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"tapedeck/internal/media/addresses"
	"tapedeck/internal/sdp"
)

// manyRigs are as many bridged calls as one core holds, in an order by chance, on one
// worker.
func manyRigs(b *testing.B) []*rig {
	rigs := make([]*rig, 1600)
	clock := time.Duration(0)
	for i := range rigs {
		r := newRig(b, false)
		if i > 0 {
			r.w = rigs[0].w
		}
		r.w.now = func() time.Duration { clock += usualPtime / time.Duration(len(rigs)); return clock }
		for _, l := range r.legs {
			l.w = r.w
		}
		rigs[i] = r
	}
	rand.Shuffle(len(rigs), func(i, k int) { rigs[i], rigs[k] = rigs[k], rigs[i] })
	b.Logf("leg %d bytes, receiver %d, sender %d, timer %d", unsafe.Sizeof(Leg{}), unsafe.Sizeof(Leg{}.in), unsafe.Sizeof(Leg{}.out), unsafe.Sizeof(timer{}))
	return rigs
}

// BenchmarkWorkerRelayMany is BenchmarkRelay with as many calls as one core
// holds, one packet of each in turn: what the processor has to fetch from memory
// for each packet is in it.
func BenchmarkWorkerRelayMany(b *testing.B) {
	rigs := manyRigs(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		rigs[i].turn()
		if i++; i == len(rigs) {
			i = 0
		}
	}
}

// BenchmarkWorkerRelayCold is the same with nothing of a leg in the first two levels
// of the caches: before each n packets as much memory is gone through as the kernel's
// work does away with. The time of a packet alone is cold-ns, the middle of all, and
// cold-p10-ns when little else went on. With n=1 the worker's own memory is cold, too,
// and the clock's own time, some 50 ns, is in it.
func BenchmarkWorkerRelayCold(b *testing.B) {
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { relayCold(b, n) })
	}
}

func relayCold(b *testing.B, n int) {
	rigs := manyRigs(b)
	c := newCold()
	for i := 0; b.Loop(); i = (i + n) % len(rigs) {
		c.forget()
		some := rigs[i : i+n] // n divides their number
		for _, r := range some {
			r.prepare()
		}
		began := time.Now()
		legs := rigs[0].w.coming[:0]
		for _, r := range some {
			legs = append(legs, r.port.leg)
		}
		rigs[0].w.fetch(legs)
		for _, r := range some {
			r.pass()
		}
		c.took(time.Since(began) / time.Duration(n))
	}
	c.report(b)
}

// cold measures what is done when nothing is in the caches.
type cold struct {
	other []uint64
	sum   uint64
	times []time.Duration
}

func newCold() *cold {
	return &cold{other: make([]uint64, 2<<20/8), times: make([]time.Duration, 0, 1<<16)}
}

// forget fills the first two levels of the caches with something else.
func (c *cold) forget() {
	for k := 0; k < len(c.other); k += 8 {
		c.sum += c.other[k]
		c.other[k] = c.sum
	}
}

func (c *cold) took(d time.Duration) {
	if len(c.times) < cap(c.times) {
		c.times = append(c.times, d)
	}
}

func (c *cold) report(b *testing.B) {
	slices.Sort(c.times)
	b.ReportMetric(float64(c.times[len(c.times)/2].Nanoseconds()), "cold-ns")
	b.ReportMetric(float64(c.times[len(c.times)/10].Nanoseconds()), "cold-p10-ns")
}

// BenchmarkOwnersCold finds those whose 16 datagrams came to a port that 3,200 legs share,
// after as much memory was gone through; cold-ns is for one of them.
func BenchmarkOwnersCold(b *testing.B) {
	const legs, n = 3200, 16
	s := shared{streams: map[uint32]*member{}, listed: [2]*addresses.Table[*member]{addresses.New[*member](), addresses.New[*member]()}}
	all := make([]datagram, legs)
	for i := range all {
		from := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(20000+2*i))
		s.expect(&member{}, &sdp.Negotiated{Remote: from})
		all[i] = datagram{from: from, data: binary.BigEndian.AppendUint32([]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, uint32(i))}
	}
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	var owners [batchSize]owner
	c := newCold()
	for i := 0; b.Loop(); i = (i + n) % legs {
		c.forget()
		began := time.Now()
		s.owners(false, all[i:i+n], &owners)
		c.took(time.Since(began) / n)
		if owners[0].member == nil {
			b.Fatal("nobody's")
		}
	}
	c.report(b)
}
