package addresses

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// TestTableIsAMap: whatever is put in and taken out, in both families, and where the ways
// are long.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, want := New[int](), map[netip.AddrPort]int{}
		// With a factor of 1 all of a family begin at one place: the longest ways there are.
		if rapid.Bool().Draw(t, "crowded") {
			table.factor = 1
		}
		// Few different ones, so that they are found again.
		address := rapid.Custom(func(t *rapid.T) netip.AddrPort {
			var b [16]byte
			binary.BigEndian.PutUint32(b[:], 0x7f000000+rapid.Uint32Range(0, 30).Draw(t, "ip"))
			ip := netip.AddrFrom4([4]byte(b[:4]))
			if rapid.Bool().Draw(t, "six") {
				ip = netip.AddrFrom16(b)
			}
			return netip.AddrPortFrom(ip, rapid.Uint16Range(4000, 4005).Draw(t, "port"))
		})
		for value := range rapid.IntRange(0, 400).Draw(t, "steps") {
			at := address.Draw(t, "at")
			if rapid.IntRange(0, 2).Draw(t, "what") > 0 {
				table.Put(at, value+1)
				want[at] = value + 1
			} else {
				table.Remove(at)
				delete(want, at)
			}
			if other := address.Draw(t, "other"); table.Find(other) != want[other] {
				t.Fatalf("%v: %d, want %d", other, table.Find(other), want[other])
			}
		}
		for at, value := range want {
			if table.Find(at) != value {
				t.Fatalf("%v is lost", at)
			}
		}
		if table.Len() != len(want) {
			t.Fatalf("%d are in use, want %d", table.Len(), len(want))
		}
	})
}

func TestFindAllocatesNothing(t *testing.T) {
	table := New[*int]()
	for _, at := range []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("[2001:db8::1]:4000")} {
		table.Put(at, new(int))
		if n := testing.AllocsPerRun(100, func() {
			if table.Find(at) == nil {
				t.Fatal("it is not there")
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", at, n)
		}
	}
}
