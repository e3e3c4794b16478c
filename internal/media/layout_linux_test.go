package media

import (
	"net/netip"
	"testing"
	"unsafe"
)

// What is touched of the network for a packet is a cache line on its way in, the seat,
// and one on its way out, the beginning of a socket.
func TestSeatsAndLinksAreCacheLines(t *testing.T) {
	if n := unsafe.Sizeof(ringSeat{}); n != cacheLine {
		t.Errorf("a seat has %d bytes", n)
	}
	made, err := epollNetwork{}.listen(netip.MustParseAddrPort("127.0.0.1:0"), mediaBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := made.close(); err != nil {
			t.Error(err)
		}
	}()
	s := made.(*epollSocket)
	if at := uintptr(unsafe.Pointer(s)) % cacheLine; at != 0 {
		t.Errorf("a socket begins at byte %d of a cache line: it has %d bytes", at, unsafe.Sizeof(*s))
	}
	if end := unsafe.Offsetof(s.link) + unsafe.Offsetof(s.link.last) + unsafe.Sizeof(s.link.last); end > cacheLine {
		t.Errorf("what a packet needs of a socket ends at byte %d", end)
	}
}
