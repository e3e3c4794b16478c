package bench

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestRelay: what one leg says comes to the other, and the loop ends with its input.
func TestRelay(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	var legs [2]*net.UDPConn
	var table [1][2]netip.AddrPort
	for i := range legs {
		var err error
		if legs[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		defer legs[i].Close()
		table[0][i] = legs[i].LocalAddr().(*net.UDPAddr).AddrPort()
	}
	in, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	hear, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hear.Close()
	defer out.Close()
	ended := make(chan error, 1) // sent to once, when the relay ends
	go func() { ended <- Relay(in, out) }()
	var there [1][2]netip.AddrPort
	if err := json.NewEncoder(tell).Encode(table); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(hear).Decode(&there); err != nil {
		t.Fatal(err)
	}
	for i := range legs {
		if _, err := legs[i].WriteToUDPAddrPort([]byte{byte(i), 7}, there[0][i]); err != nil {
			t.Fatal(err)
		}
		var b [10]byte
		n, from, err := legs[1-i].ReadFromUDPAddrPort(b[:])
		if err != nil || n != 2 || b[0] != byte(i) || from != there[0][1-i] {
			t.Errorf("%v: %v from %s", err, b[:n], from)
		}
	}
	if err := tell.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
