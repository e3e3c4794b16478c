package media

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"
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
	other := make([]uint64, 2<<20/8)
	took := make([]time.Duration, 0, 1<<16)
	sum := uint64(0)
	for i := 0; b.Loop(); i = (i + n) % len(rigs) {
		for k := 0; k < len(other); k += 8 {
			sum += other[k]
			other[k] = sum
		}
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
		if d := time.Since(began); len(took) < cap(took) {
			took = append(took, d/time.Duration(n))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "cold-ns")
	b.ReportMetric(float64(took[len(took)/10].Nanoseconds()), "cold-p10-ns")
}
