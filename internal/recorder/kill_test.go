package recorder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const (
	killDir  = "RECORDER_KILL_DIR"  // set for the child: where it records
	killSeed = "RECORDER_KILL_SEED" // of the run, and of the child
	kills    = "KILLS"              // how often, instead of 200
)

// killed is the account of all kills of a run.
type killed struct {
	mu         sync.Mutex
	recordings int
	whole      int // were closed before the kill
	begun      int
	worst      time.Duration // of audio that was taken, and is not in the journal
}

// TestKillAtAnyMoment kills a process that records, at a random moment, and looks
// at what is left: each journal that was safe reads, at most its last second is
// missing, and each has an end or can be given one. The process is this test,
// started again. The seed of a run that failed makes the same moments again:
// RECORDER_KILL_SEED.
func TestKillAtAnyMoment(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		recordUntilKilled(t, dir)
	}
	testkit.Timeout(t, 9*time.Minute)
	testkit.NoLeaks(t)
	n, seed := number(t, kills, 200), number(t, killSeed, rand.IntN(1<<30))
	var all killed
	var group sync.WaitGroup
	next := make(chan int) // numbers of kills
	for range 4 {          // mostly they wait for the moment
		group.Go(func() {
			for i := range next {
				if err := all.kill(t, uint64(seed), uint64(i)); err != nil {
					t.Errorf("kill %d of seed %d: %v", i, seed, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	t.Logf("FAULTS|kill -9 of a recorder at a random moment|%d|%d|0|–|worst tail %v; %d were closed before", n, all.recordings, all.worst.Round(time.Millisecond), all.whole)
	if n >= 20 && (all.begun == 0 || all.whole == 0) || all.worst > time.Second {
		t.Errorf("seed %d: %+v", seed, &all)
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// said is what a child told before it was killed.
type said struct {
	taken  time.Duration            // newest packet that was taken, on its clock
	begun  map[string]time.Duration // capture began, on its clock
	opened map[string]bool          // safe on disk
	closed map[string]int64         // stopped and safe, with so many packets
}

// kill starts a child, kills it, and looks at what is left.
func (k *killed) kill(t *testing.T, seed, i uint64) error {
	random := rand.New(rand.NewPCG(seed, i))
	dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillAtAnyMoment$")
	cmd.Env = append(os.Environ(), killDir+"="+dir, killSeed+"="+fmt.Sprint(random.Uint32()>>1))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, told := make(chan struct{}), make(chan said, 1)
	go func() {
		s := said{begun: map[string]time.Duration{}, opened: map[string]bool{}, closed: map[string]int64{}}
		lines := bufio.NewScanner(out)
		for begun := false; lines.Scan(); {
			var id string
			var n int64
			if _, err := fmt.Sscanf(lines.Text(), "taken %d", &n); err == nil {
				s.taken = time.Duration(n)
			} else if _, err := fmt.Sscanf(lines.Text(), "opened %s", &id); err == nil {
				s.opened[id] = true
			} else if _, err := fmt.Sscanf(lines.Text(), "closed %s %d", &id, &n); err == nil {
				s.closed[id] = n
			}
			if _, err := fmt.Sscanf(lines.Text(), "begun %s %d", &id, &n); err == nil {
				s.begun[id] = time.Duration(n)
			}
			if !begun {
				begun = true
				close(ready)
			}
		}
		told <- s
	}()
	<-ready
	moment := time.NewTimer(time.Duration(random.Int64N(int64(900 * time.Millisecond))))
	<-moment.C
	err = cmd.Process.Kill()
	s := <-told
	if werr := cmd.Wait(); err != nil || werr == nil || !strings.Contains(werr.Error(), "killed") {
		return fmt.Errorf("the process ended by itself: %w", errors.Join(err, werr))
	}
	return errors.Join(k.judge(dir, &s), os.RemoveAll(dir))
}

// judge repairs what is left, and compares it with what was said.
func (k *killed) judge(dir string, s *said) error {
	found, err := Recover(dir)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recordings += len(found)
	k.whole += len(s.closed)
	left := map[string]Interrupted{}
	for _, f := range found {
		left[string(f.Recording)] = f
	}
	var faults []error
	for id := range s.opened {
		f, there := left[id]
		n, closed := s.closed[id]
		switch {
		case !there || f.Err != nil:
			faults = append(faults, fmt.Errorf("%s is lost: %w", id, f.Err))
			continue
		case closed:
			rep, err := journal.Repair(f.Path, nil)
			if err != nil || !f.Ended || rep.Packets != n || rep.Torn+rep.Damaged > 0 {
				faults = append(faults, fmt.Errorf("%s was closed with %d packets: %w, %+v", id, n, err, rep))
			}
			continue
		case f.Report.Damaged > 0:
			faults = append(faults, fmt.Errorf("%s: %+v", id, f.Report))
		}
		at, begun := s.begun[id]
		if f.Ended || !f.Began && (!begun || s.taken-at <= time.Second) {
			continue // at an end, or at the very beginning
		}
		k.begun++
		tail := s.taken - (f.Header.Start + f.Report.Last)
		if k.worst = max(k.worst, tail); tail > time.Second {
			faults = append(faults, fmt.Errorf("%s lost its last %v", id, tail))
		}
	}
	return errors.Join(faults...)
}

// recordUntilKilled records on several captures at once, which come and go, and
// says each 10 ms what it took.
func recordUntilKilled(t *testing.T, dir string) {
	testkit.Timeout(t, time.Minute)
	random := rand.New(rand.NewPCG(uint64(number(t, killSeed, 1)), 1))
	epoch := time.Now()
	r, err := New(Options{Dir: dir, Now: func() time.Duration { return time.Since(epoch) }})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := r.Run(context.Background()); err != nil {
			panic(err)
		}
	}()
	var mu sync.Mutex // of standard output
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(os.Stdout, format+"\n", args...); err != nil {
			panic(err)
		}
	}
	var running [6]*recording
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for made := 0; ; {
		<-tick.C
		for i, c := range running {
			if c == nil {
				made++
				running[i] = startOne(r, made, say)
				continue
			}
			if c.live(r, random) {
				running[i] = nil
			}
		}
		say("taken %d", time.Since(epoch))
	}
}

// recording is one capture of the child.
type recording struct {
	c     *Capture
	track *Track
	taken int64
	age   int
	say   func(string, ...any)
}

func startOne(r *Recorder, n int, say func(string, ...any)) *recording {
	id := voice.RecordingID(fmt.Sprintf("0190e2f4-0000-7000-8000-%012d", n))
	out := &recording{say: say}
	c, err := r.Start(Spec{Recording: id, Call: "c1", Wall: time.Now(), Notify: func(e Event) {
		switch e.Kind {
		case Opened:
			say("opened %s", id)
		case Closed:
			say("closed %s %d", id, out.taken) // not changed any more: it was stopped before
		default:
			panic(e.Err)
		}
	}})
	if err != nil {
		panic(err)
	}
	out.c, out.track = c, c.Track(TrackSpec{Call: "c1", Party: "+351"})
	return out
}

// live is 10 ms of a recording. It reports that it was stopped.
func (o *recording) live(r *Recorder, random *rand.Rand) (over bool) {
	if o.age++; o.age == 2 {
		o.c.Begin(r.o.Now(), time.Now())
		o.say("begun %s %d", o.c.spec.Recording, r.o.Now())
	}
	for range 2 {
		p := &rtp.Received{Arrival: r.o.Now(), Seq: uint64(o.taken), SSRC: 7, Payload: make([]byte, 160)}
		o.track.Take(p)
		if o.age >= 2 {
			o.taken++
		}
	}
	if o.age < 4 || random.IntN(60) > 0 {
		return false
	}
	_, err := o.c.Stop(voice.EndStopped)
	return err == nil
}
