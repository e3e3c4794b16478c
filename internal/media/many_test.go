package media

import (
	"testing"
	"unsafe"
)

// BenchmarkWorkerRelayMany is BenchmarkWorkerRelay with as many calls as one core
// holds, one packet of each in turn: what the processor has to fetch from memory
// for each packet is in it.
func BenchmarkWorkerRelayMany(b *testing.B) {
	rigs := make([]*rig, 1600)
	for i := range rigs {
		rigs[i] = newRig(b, false)
	}
	b.Logf("leg %d bytes, receiver %d, sender %d, timer %d", unsafe.Sizeof(Leg{}), unsafe.Sizeof(Leg{}.in), unsafe.Sizeof(Leg{}.out), unsafe.Sizeof(timer{}))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		rigs[i].turn()
		if i++; i == len(rigs) {
			i = 0
		}
	}
}
