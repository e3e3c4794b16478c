package recorder

import (
	"fmt"
	"testing"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/voice"
)

// TestBehindIsWhoHasTooMuchToWrite: not who has as many blocks as are being filled, and
// not who waits for a disk.
func TestBehindIsWhoHasTooMuchToWrite(t *testing.T) {
	const captures = 4 * fewBlocks
	for name, c := range map[string]struct {
		second int           // captures with a second block
		since  time.Duration // the last one that was written
		served bool
		behind bool
	}{
		"each has one":              {0, 0, false, false},
		"a few more":                {captures/4 + fewBlocks, 0, false, false},
		"more than a few":           {captures/4 + fewBlocks + 1, moving - 1, false, true},
		"all":                       {captures, 0, false, true},
		"all, and the disk is slow": {captures, 0, true, false},
		"all, and the disk stands":  {captures, moving, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Second
			r, err := New(Options{Dir: t.TempDir(), Now: func() time.Duration { return now }}) // nobody writes
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}()
			for n := range captures {
				speakBlocks(t, r, n, n < c.second)
			}
			r.wrote.Store(int64(now - c.since))
			r.served.Store(c.served)
			if got := r.Behind(); got != c.behind {
				t.Errorf("%d captures, %d with a second block: behind %t, want %t", captures, c.second, got, c.behind)
			}
		})
	}
}

// speakBlocks fills less than one block of a new capture, or more than one.
func speakBlocks(t *testing.T, r *Recorder, n int, more bool) {
	t.Helper()
	c, err := r.Start(Spec{Recording: voice.RecordingID(fmt.Sprintf("0190e2f4-0000-7000-8000-%012d", n)), Call: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	track := c.Track(TrackSpec{Call: "c1"})
	c.Begin(r.o.Now(), time.Unix(1, 0))
	packets := 1
	if more {
		packets = blockMemory / 160
	}
	for seq := range packets {
		track.Take(&rtp.Received{Arrival: r.o.Now(), Seq: uint64(seq), Time: uint64(160 * seq), Payload: make([]byte, 160)})
	}
}
