//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/testkit"
)

const patience = 10 * time.Second

// pair is two UDP sockets that are connected to each other; the ring has the first.
func pair(t *testing.T) (fd int, far *net.UDPConn) {
	t.Helper()
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: far.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd, far
}

// TestRing: datagrams come to a seat in their order, and go back from the bytes that they
// came in, until the seat is left.
func TestRing(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	runtime.LockOSThread() // one thread enters a ring
	defer runtime.UnlockOSThread()
	r, err := New(4)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		t.Logf("the system has no io_uring for us, and New says so: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	const seat, key, sent = 2, 42, 43
	fd, far := pair(t)
	if err := errors.Join(r.Enable(), r.SetFile(seat, int32(fd))); err != nil {
		t.Fatal(err)
	}
	if !r.Receive(seat, key) {
		t.Fatal("no room to ask for datagrams")
	}
	r.Submit()
	here, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: here.(*unix.SockaddrInet4).Port}
	for i := range byte(3 * 20) { // rounds of buffers that are used again
		want := bytes.Repeat([]byte{i}, 172)
		if _, err := far.WriteToUDP(want, at); err != nil {
			t.Fatal(err)
		}
		for r.Ready() == 0 {
			if err := r.Enter(patience, false); err != nil {
				t.Fatal(err)
			}
		}
		c, ok := r.Take()
		if !ok || c.UserData != key || c.Flags&HasBuffer == 0 || c.Flags&More == 0 {
			t.Fatalf("result %+v", c)
		}
		got := r.Bytes(&c)
		if !bytes.Equal(got, want) {
			t.Fatalf("datagram %d is %x…", i, got[:4])
		}
		if _, ok := r.Holds(got); !ok || !r.Send(seat, got, sent) {
			t.Fatal("it cannot be sent from where it lies")
		}
		r.Submit()
		echo := make([]byte, DatagramSize)
		if err := far.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := far.Read(echo)
		if err != nil || !bytes.Equal(echo[:n], want) {
			t.Fatalf("%v: echo %d is %x…", err, i, echo[:min(n, 4)])
		}
		r.Recycle()
	}
	if err := r.Cancel(key); err != nil {
		t.Fatal(err)
	}
	for r.Ready() == 0 {
		if err := r.Enter(patience, false); err != nil {
			t.Fatal(err)
		}
	}
	if c, _ := r.Take(); c.UserData != key || c.Res != -int32(unix.ECANCELED) || c.Flags&More != 0 {
		t.Errorf("the end of what was asked for is %+v", c)
	}
}
