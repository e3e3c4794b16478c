package callgen

import (
	"net/netip"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestWired: legs that are each other's far end lose nothing.
func TestWired(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	w, err := NewWired(40, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	far := w.Addrs()
	for i := range far {
		far[i][0], far[i][1] = far[i][1], far[i][0]
	}
	var told []bool
	r, err := w.Run(t.Context(), far, func(on bool) { told = append(told, on) })
	if err != nil || r.Connected != 40 || r.Sent == 0 || r.Received != r.Sent || r.CrossTalk+r.Duplicate+r.Unmarked > 0 || len(told) != 2 {
		t.Errorf("%v: %d of 40 calls, sent %d, received %d, of others %d", err, r.Connected, r.Sent, r.Received, r.CrossTalk)
	}
	if w, err = NewWired(1, time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(t.Context(), make([][2]netip.AddrPort, 2), nil); err == nil {
		t.Error("a far end too many: no error")
	}
	if _, err := NewWired(0, time.Second); err == nil {
		t.Error("no calls: no error")
	}
}
