// Package addresses is a table of what is known by the address of a peer. The media
// workers look up in it whose a datagram is that came to a port that many legs share. It
// imports nothing of Tapedeck.
package addresses

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
)

// Table finds values by address. Each packet of a shared port is looked up when no cache
// holds its place any more, so a look-up of an IPv4 address reads one line of memory, which
// a map of netip.AddrPort cannot do. It has open addressing and linear probing (Knuth, The
// Art of Computer Programming, volume 3, section 6.4), and is at most half full. It does not
// get smaller. Make one by New; one goroutine at a time may use it.
type Table[V any] struct {
	places []place[V]
	at     []netip.AddrPort // of each place; read where a key does not say all
	used   int
	shift  int // the upper bits of a product are the place: 64 minus the bits of a place
	// Peers announce what they like. A factor by chance keeps them from choosing
	// addresses that all have the same place.
	factor uint64
	seed   maphash.Seed // for the keys of IPv6
}

type place[V any] struct {
	key   uint64 // 0 = free
	value V
}

// fewest is how many places a table begins with, a power of two.
const fewest = 64

const (
	// inUse is in every key, so that none is 0.
	inUse = 1 << 62
	// hashed marks the key of an address that is longer than a key: it has to be compared.
	hashed = 1 << 63
)

// New makes an empty table.
func New[V any]() *Table[V] {
	t := &Table[V]{factor: rand.Uint64() | 1, seed: maphash.MakeSeed()}
	t.make(fewest)
	return t
}

// make begins anew with so many places.
func (t *Table[V]) make(n int) {
	t.places, t.at = make([]place[V], n), make([]netip.AddrPort, n)
	t.used, t.shift = 0, 64-bits.TrailingZeros(uint(n))
}

// Len is how many addresses have a value.
func (t *Table[V]) Len() int { return t.used }

// Find is the value at an address; the zero value when there is none.
func (t *Table[V]) Find(at netip.AddrPort) V {
	i, _ := t.seek(at)
	return t.places[i].value
}

// Put sets the value at an address.
func (t *Table[V]) Put(at netip.AddrPort, v V) {
	if 2*t.used >= len(t.places) {
		t.grow()
	}
	i, key := t.seek(at)
	if t.places[i].key == 0 {
		t.used++
	}
	t.places[i], t.at[i] = place[V]{key, v}, at
}

// Remove forgets an address. Those behind it move up, so that the way to none of them is
// interrupted (Knuth, algorithm R).
func (t *Table[V]) Remove(at netip.AddrPort) {
	free, _ := t.seek(at)
	if t.places[free].key == 0 {
		return
	}
	t.used--
	mask := len(t.places) - 1
	for i := t.next(free); t.places[i].key != 0; i = t.next(i) {
		// It may move to the free place when its way leads over that.
		if way := (i - t.home(t.places[i].key)) & mask; way >= (i-free)&mask {
			t.places[free], t.at[free] = t.places[i], t.at[i]
			free = i
		}
	}
	t.places[free], t.at[free] = place[V]{}, netip.AddrPort{}
}

// seek is the place of an address, or the free one where it would be put.
func (t *Table[V]) seek(at netip.AddrPort) (i int, key uint64) {
	key = t.key(at)
	for i = t.home(key); t.places[i].key != 0; i = t.next(i) {
		if t.places[i].key == key && (key&hashed == 0 || t.at[i] == at) {
			break
		}
	}
	return i, key
}

func (t *Table[V]) key(at netip.AddrPort) uint64 {
	if ip := at.Addr(); ip.Is4() {
		b := ip.As4()
		return inUse | uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 | uint64(b[3])<<16 | uint64(at.Port())
	}
	return inUse | hashed | maphash.Comparable(t.seed, at)
}

// home is where a key is, or where the way to it begins.
func (t *Table[V]) home(key uint64) int { return int(key * t.factor >> t.shift) }

func (t *Table[V]) next(i int) int { return (i + 1) & (len(t.places) - 1) }

func (t *Table[V]) grow() {
	places, at := t.places, t.at
	t.make(2 * len(places))
	for i, p := range places {
		if p.key != 0 {
			t.Put(at[i], p.value)
		}
	}
}
