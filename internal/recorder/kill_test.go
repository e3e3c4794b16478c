package recorder

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
)

const killEnv = "RECORDER_KILL_DIR"

// TestKillAtAnyMoment kills a process that records, and looks at what is left: a
// journal that reads, and at most the last second missing. The process is this
// test, started again.
func TestKillAtAnyMoment(t *testing.T) {
	if dir := os.Getenv(killEnv); dir != "" {
		recordUntilKilled(t, dir)
	}
	head(t)
	for range 4 {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillAtAnyMoment$")
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// One line for each 10 ms, with the packets taken until then.
		var taken []int
		lines := bufio.NewScanner(out)
		for n := 20 + rand.IntN(150); len(taken) < n && lines.Scan(); {
			var count int
			if _, err := fmt.Sscanf(lines.Text(), "taken %d", &count); err == nil {
				taken = append(taken, count)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
		found, err := Recover(dir)
		if err != nil || len(found) != 1 || found[0].Err != nil || !found[0].Began || found[0].Ended {
			t.Fatalf("%v, %+v", err, found)
		}
		secondAgo := 0
		if n := len(taken) - 100; n >= 0 {
			secondAgo = taken[n]
		}
		rep := found[0].Report
		if rep.Packets < int64(secondAgo) || rep.Damaged != 0 {
			t.Errorf("%d packets were taken a second before the end, %d are in the journal; %+v", secondAgo, rep.Packets, rep)
		}
	}
}

func recordUntilKilled(t *testing.T, dir string) {
	testkit.Timeout(t, time.Minute)
	epoch := time.Now()
	r, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := r.Run(context.Background()); err != nil {
			panic(err)
		}
	}()
	opened := make(chan struct{})
	c, err := r.Start(Spec{Recording: recID, Notify: func(e Event) {
		if e.Kind == Opened {
			close(opened)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	track := c.Track(TrackSpec{Call: "c1"})
	c.Begin(r.o.Now(), time.Now())
	<-opened
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for taken := 0; ; {
		<-tick.C
		for range 20 {
			track.Take(&rtp.Received{Arrival: time.Since(epoch), Payload: make([]byte, 160)})
			taken++
		}
		if _, err := fmt.Fprintln(os.Stdout, "taken", taken); err != nil {
			t.Fatal(err)
		}
	}
}
