package media

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketAddresses(t *testing.T) {
	for _, test := range []struct {
		addr string
		six  bool
		size uint32
		want string
	}{
		{"192.0.2.1:5004", false, unix.SizeofSockaddrInet4, "192.0.2.1:5004"},
		{"192.0.2.1:65535", true, unix.SizeofSockaddrInet6, "192.0.2.1:65535"},
		{"[2001:db8::1]:1", true, unix.SizeofSockaddrInet6, "[2001:db8::1]:1"},
	} {
		a := address{}
		for i := range a {
			a[i] = 0xee // what was there before must not matter
		}
		if got := destination(&a, test.six, netip.MustParseAddrPort(test.addr)); got != test.size {
			t.Errorf("%s takes %d bytes", test.addr, got)
		}
		if got := source(&a); got.String() != test.want {
			t.Errorf("%s comes back as %s", test.addr, got)
		}
	}
}

func TestAFullReceiveBufferIsCounted(t *testing.T) {
	b := start(t, Options{Workers: 1})
	l, p := b.connect("A")
	stuck, release := make(chan struct{}), make(chan struct{})
	b.workers[0].post(command{run: func(*worker) error {
		close(stuck)
		<-release
		return nil
	}})
	<-stuck
	packets := uint64(2500) // far more than the buffer holds
	for range packets {
		p.talk()
	}
	close(release)
	// The kernel tells with the first packet that finds room again.
	eventually(t, func() bool {
		p.talk()
		packets++
		return l.Stats().Overflow > 0
	})
	eventually(t, func() bool {
		s := l.Stats()
		return s.Received+s.Overflow == packets
	})
	if s := l.Stats(); s.Lost > s.Overflow {
		t.Errorf("%+v", s)
	}
}

func TestARefusedDatagramIsCountedAndTheRestIsSent(t *testing.T) {
	s, err := epollNetwork{}.listen(netip.MustParseAddrPort("127.0.0.1:0"), controlBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	out, err := epollNetwork{}.poller()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.close() }()
	to := listen(t)
	for _, text := range []string{"one", "two"} {
		out.send(s, addrOf(to), []byte(text))
		out.send(s, netip.MustParseAddrPort("127.0.0.1:0"), []byte("nowhere"))
	}
	out.send(s, addrOf(to), nil) // nothing to send
	if refused := out.flush(); refused != 2 {
		t.Errorf("%d refused", refused)
	}
	for _, want := range []string{"one", "two"} {
		if got, _ := receive(t, to); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if refused := out.flush(); refused != 0 {
		t.Errorf("%d refused of nothing", refused)
	}
}
