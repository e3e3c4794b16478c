package recorder

import (
	"runtime"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestBlocks: blocks that are lent at once share no memory, what was given back is
// lent again, and close frees it all.
func TestBlocks(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	const some = 3 * slabBlocks
	p := newBlocks(some * blockMemory)
	held := lend(p, some)
	for i, b := range held {
		mark(b, byte(i%251+1))
	}
	for i, b := range held {
		if b[0] != byte(i%251+1) || b[len(b)-1] != byte(i%251+1) {
			t.Fatalf("block %d was written to by another", i)
		}
	}
	giveAll(p, held)
	if again := lend(p, some); len(p.slabs) != 3 {
		t.Errorf("%d slabs for what 3 had room for", len(p.slabs))
	} else {
		giveAll(p, again)
	}
	if err := p.close(); err != nil || len(p.slabs) != 0 {
		t.Errorf("%d slabs after close: %v", len(p.slabs), err)
	}
	if b := p.get(); p.owns(b) {
		t.Error("a block of a slab after close")
	}
}

// TestBlocksBeyond: a full buffer lends heap memory to who must have a block, and
// nothing is freed under who holds one.
func TestBlocksBeyond(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	p := newBlocks(1)
	held := lend(p, slabBlocks)
	beyond := p.get()
	if p.owns(beyond) || !p.owns(held[0]) {
		t.Errorf("of a slab: %t beyond the buffer, %t within", p.owns(beyond), p.owns(held[0]))
	}
	p.put(beyond)
	if err := p.close(); err != nil {
		t.Error(err)
	}
	for _, b := range held {
		mark(b, 1) // a fault ends the test here
	}
	giveAll(p, held)
	if err := p.close(); err != nil || len(p.slabs) != 0 {
		t.Errorf("%d slabs when all are back: %v", len(p.slabs), err)
	}
}

// TestBlocksCool: what a peak took goes back to the system.
func TestBlocksCool(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	const peak = 4 * warmBlocks
	p := newBlocks(peak * blockMemory)
	held := lend(p, peak)
	for _, b := range held {
		mark(b, 1)
	}
	giveAll(p, held)
	warm := 0
	held = lend(p, peak)
	for _, b := range held {
		if b[0] != 0 || b[len(b)-1] != 0 { // memory of the system begins with zeros
			warm++
		}
	}
	if warm > warmBlocks {
		t.Errorf("%d of %d blocks kept their memory", warm, peak)
	}
	giveAll(p, held)
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestBlocksStayWarm: after a peak, what is used again and again is not what went back to
// the system, which would have to be asked for each time.
func TestBlocksStayWarm(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	const peak, usual = 4 * warmBlocks, warmBlocks / 2
	p := newBlocks(peak * blockMemory)
	held := lend(p, peak)
	for _, b := range held {
		mark(b, 1)
	}
	giveAll(p, held)
	for round := range 20 {
		held = lend(p, usual)
		for _, b := range held {
			if b[0] == 0 {
				t.Fatalf("round %d: a block has no memory", round)
			}
		}
		giveAll(p, held)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestBlocksBesideHeap: the memory of blocks is nothing that the garbage collector
// reckons with.
func TestBlocksBesideHeap(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	const some = 16 * slabBlocks
	p := newBlocks(some * blockMemory)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	held := lend(p, some)
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / some; took > 200 {
		t.Errorf("a block takes %d bytes of the heap", took)
	}
	giveAll(p, held)
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

func lend(p *blocks, n int) []*memory {
	out := make([]*memory, n)
	for i := range out {
		out[i] = p.get()
	}
	return out
}

func giveAll(p *blocks, all []*memory) {
	for _, b := range all {
		p.put(b)
	}
}

// mark fills a block's memory.
func mark(b *memory, with byte) {
	for i := range b {
		b[i] = with
	}
}
