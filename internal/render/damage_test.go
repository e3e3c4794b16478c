package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// damaged is a journal whose blocks are known, so that it can be told what a
// fault may cost.
type damaged struct {
	file   []byte
	header int      // where the header ends
	blocks [][2]int // from, to
	in     []int    // block of the packets of each frame
}

const damagedFrames = 300 // 20 ms each

// code is the µ-law code of a frame: its own, and loud.
func code(frame int) byte { return byte(frame%96) + 8 }

// damageable writes a call of two parties, a block each 160 ms, with the header
// and the topology restated once a second.
func damageable(t *testing.T) *damaged {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.journal")
	w, err := journal.Create(path, journal.Header{Recording: "r", Call: "A", Stereo: true, SampleRate: 8000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &damaged{header: int(w.Size())}
	flush := func(err error) {
		t.Helper()
		from := int(w.Size())
		if err := errors.Join(err, w.Flush()); err != nil {
			t.Fatal(err)
		}
		d.blocks = append(d.blocks, [2]int{from, int(w.Size())})
	}
	topology := func(repeat bool) error {
		wall := time.Unix(1000, 0).UTC()
		return errors.Join(
			w.Control(journal.Entry{Kind: journal.KindTrackOpened, Repeat: repeat, Detail: journal.Detail{Call: "A", Party: "a", Role: "caller"}}),
			w.Control(journal.Entry{Kind: journal.KindTrackOpened, Repeat: repeat, Track: 1, Detail: journal.Detail{Call: "B", Party: "b", Role: "callee"}}),
			w.Control(journal.Entry{Kind: journal.KindBegin, Repeat: repeat, Detail: journal.Detail{Wall: wall}}),
			w.Control(journal.Entry{Kind: journal.KindJoined, Repeat: repeat, Detail: journal.Detail{Call: "A", Other: "B"}}))
	}
	flush(topology(false))
	for i := range damagedFrames {
		at := time.Duration(i+1) * 20 * time.Millisecond
		d.in = append(d.in, len(d.blocks))
		var err error
		for track := range uint16(2) {
			err = errors.Join(err, w.Packet(at, track, &journal.Packet{
				Seq: uint16(i), Time: uint32(160 * i), SSRC: 1 + uint32(track), Payload: bytes.Repeat([]byte{code(i) | byte(track)<<7}, 160),
			}))
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%8 == 7 {
			flush(nil)
		}
		if i%48 == 47 {
			from := int(w.Size())
			if err := w.Restate(); err != nil {
				t.Fatal(err)
			}
			d.blocks = append(d.blocks, [2]int{from, int(w.Size())})
			flush(topology(true))
		}
	}
	end := time.Duration(damagedFrames)*20*time.Millisecond + time.Millisecond
	flush(w.Control(journal.Entry{Kind: journal.KindStop, At: end, Detail: journal.Detail{Cause: "call-ended", Offset: end, Wall: time.Unix(1000, 0).UTC()}}))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if d.file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return d
}

// touched tells which blocks a change of these bytes concerns.
func (d *damaged) touched(from, to int) map[int]bool {
	out := map[int]bool{}
	for i, b := range d.blocks {
		if b[0] < to && b[1] > from {
			out[i] = true
		}
	}
	return out
}

// TestDamageCostsItsBlocks: bits flip, sectors are lost and files are cut, at
// random places of a journal. Repairing and rendering never fail, what stands in
// other blocks is in the file in its place, and the receipt tells.
func TestDamageCostsItsBlocks(t *testing.T) {
	d := damageable(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	counts := map[string]int{}
	worst := 0
	path := filepath.Join(t.TempDir(), "damaged.journal")
	for n := range 90 {
		file := slices.Clone(d.file)
		var hit map[int]bool
		kind := []string{"bit flip", "lost sector", "cut"}[n%3]
		switch at := random.IntN(len(file)); kind {
		case "bit flip":
			file[at] ^= 1 << random.IntN(8)
			hit = d.touched(at, at+1)
		case "lost sector":
			to := min(len(file), at+512)
			clear(file[at:to])
			hit = d.touched(at, to)
		case "cut":
			at = d.header + random.IntN(len(file)-d.header)
			file = file[:at]
			hit = d.touched(at, len(d.file))
		}
		counts[kind]++
		if kind != "cut" {
			worst = max(worst, len(hit))
		}
		if err := d.check(path, file, hit); err != nil {
			t.Fatalf("seed %d, fault %d (%s): %v", seed, n, kind, err)
		}
	}
	for _, kind := range []string{"bit flip", "lost sector", "cut"} {
		t.Logf("FAULTS|journal: %s at a random place|%d|%d|0|–|lost are the blocks that were hit and no others", kind, counts[kind], counts[kind])
	}
	if worst > 6 {
		t.Errorf("a sector of 512 bytes touched %d blocks", worst)
	}
}

// check repairs and renders a damaged journal, twice.
func (d *damaged) check(path string, file []byte, hit map[int]bool) error {
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	for range 2 {
		if err := d.render(path, hit); err != nil {
			return err
		}
		rep, err := journal.Repair(path, nil)
		if err != nil {
			return err
		}
		if rep.Torn > 0 {
			if again, err := journal.Repair(path, nil); err != nil || again.Torn > 0 || again.Size != rep.Size {
				return fmt.Errorf("repairing twice: %w, %+v", err, again)
			}
		}
	}
	return os.Remove(path)
}

func (d *damaged) render(path string, hit map[int]bool) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer j.Close()
	plan, err := Make(j, Layout{Stereo: true, EndCause: voice.EndNodeLost})
	if errors.Is(err, ErrNotBegun) && hit[0] && hit[len(d.blocks)-1] {
		return nil // cut before anything was said
	}
	if err != nil {
		return err
	}
	out := path + ".wav"
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	receipt, err := plan.Write(context.Background(), f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := Check(out, receipt); err != nil {
		return err
	}
	pcm, err := samplesOf(out)
	if err != nil {
		return err
	}
	if len(hit) > 0 && receipt.Complete {
		return errors.New("the receipt says that nothing is missing")
	}
	for frame, block := range d.in {
		if hit[block] {
			continue
		}
		middle := 2 * (160*frame + 80)
		if middle+1 >= len(pcm) {
			return fmt.Errorf("frame %d is not in the file of %d samples", frame, len(pcm)/2)
		}
		var want [2]int16
		g711.DecodeMu(want[:], []byte{code(frame), code(frame) | 0x80})
		if pcm[middle] != want[0] || pcm[middle+1] != want[1] {
			return fmt.Errorf("frame %d is %d, %d, want %v", frame, pcm[middle], pcm[middle+1], want)
		}
	}
	return nil
}

func samplesOf(path string) ([]int16, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w, err := wav.NewReader(f)
	if err != nil {
		return nil, err
	}
	pcm := make([]int16, w.Frames()*int64(w.Format().Channels))
	for n := 0; n < len(pcm); {
		got, err := w.Read(pcm[n:])
		if err != nil {
			return nil, err
		}
		n += got
	}
	return pcm, nil
}
