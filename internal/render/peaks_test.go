package render

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// storedPeaks are the peaks of some audio, as Write makes them, in pieces.
func storedPeaks(t testing.TB, rate int, sides [][]int16, piece int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := newPeaksWriter(&b, rate, len(sides), int64(len(sides[0])))
	for at := 0; at < len(sides[0]); at += piece {
		var part [][]int16
		for _, s := range sides {
			part = append(part, s[at:min(at+piece, len(s))])
		}
		w.add(part)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPeaksOfARecording(t *testing.T) {
	var b bytes.Buffer
	r := render(t, conversation(10*time.Second).write(t), Layout{Stereo: true, Peaks: &b})
	p, err := ReadPeaks(bytes.NewReader(b.Bytes()), 0)
	if err != nil || p.SampleRate != rate || p.Samples != 80000 || len(p.Sides) != 2 || len(p.Sides[0]) != 500 {
		t.Fatalf("%d Hz, %d samples, %d sides, %v", p.SampleRate, p.Samples, len(p.Sides), err)
	}
	for i, side := range p.Sides {
		for k, got := range side {
			part := r.sides[i][k*160 : (k+1)*160]
			if want := (Peak{slices.Min(part), slices.Max(part)}); got != want {
				t.Fatalf("side %d, point %d is %v, the audio has %v", i, k, got, want)
			}
		}
	}
	if p.Sides[1][0] != (Peak{}) || p.Sides[0][0].Max < 1000 {
		t.Errorf("left begins with %v, right with %v", p.Sides[0][0], p.Sides[1][0])
	}
	if p, err = ReadPeaks(bytes.NewReader(b.Bytes()), 7); err != nil || len(p.Sides[1]) != 7 {
		t.Fatalf("%d points, %v", len(p.Sides[1]), err)
	}
	if got, want := p.Sides[0][6], (Peak{slices.Min(r.sides[0][428*160:]), slices.Max(r.sides[0][428*160:])}); got != want {
		t.Errorf("the last of 7 points is %v, the audio has %v", got, want)
	}
}

// However many points are asked for, together they hold every sample.
func TestPeaksMissNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sides := make([][]int16, rapid.IntRange(1, 2).Draw(rt, "channels"))
		n := rapid.IntRange(0, 5000).Draw(rt, "samples")
		for i := range sides {
			sides[i] = rapid.SliceOfN(rapid.Int16(), n, n).Draw(rt, "side")
		}
		b := storedPeaks(t, 8000, sides, rapid.IntRange(1, 700).Draw(rt, "piece"))
		want := rapid.IntRange(1, 40).Draw(rt, "points")
		p, err := ReadPeaks(bytes.NewReader(b), want)
		if err != nil {
			rt.Fatal(err)
		}
		for i, side := range sides {
			if got := len(p.Sides[i]); got != min(want, (n+159)/160) {
				rt.Fatalf("%d points", got)
			}
			if n == 0 {
				continue
			}
			low := slices.MinFunc(p.Sides[i], func(a, b Peak) int { return int(a.Min) - int(b.Min) }).Min
			high := slices.MaxFunc(p.Sides[i], func(a, b Peak) int { return int(a.Max) - int(b.Max) }).Max
			if low != slices.Min(side) || high != slices.Max(side) {
				rt.Fatalf("side %d: %d to %d", i, low, high)
			}
		}
	})
}

func TestDamagedPeaks(t *testing.T) {
	whole := storedPeaks(t, 8000, [][]int16{{1, 2, 3}, {-4, 5, 6}}, 2)
	for i := range whole {
		if _, err := ReadPeaks(bytes.NewReader(whole[:i]), 10); !errors.Is(err, ErrPeaks) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
		bad := slices.Clone(whole)
		bad[i] ^= 1
		if _, err := ReadPeaks(bytes.NewReader(bad), 10); !errors.Is(err, ErrPeaks) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	if _, err := ReadPeaks(io.MultiReader(bytes.NewReader(whole[:20]), brokenDisk{}), 10); errors.Is(err, ErrPeaks) || !errors.Is(err, errDisk) {
		t.Errorf("a disk that fails: %v", err)
	}
}

var errDisk = errors.New("disk on fire")

type brokenDisk struct{}

func (brokenDisk) Read([]byte) (int, error) { return 0, errDisk }

func TestPeaksThatCannotBeWritten(t *testing.T) {
	w := newPeaksWriter(brokenDisk{}, 8000, 1, 160)
	w.add([][]int16{make([]int16, 160)})
	if err := w.close(); !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

func (brokenDisk) Write([]byte) (int, error) { return 0, errDisk }

func FuzzReadPeaks(f *testing.F) {
	f.Add(storedPeaks(f, 8000, [][]int16{{1, 2, 3}, {-4, 5, 6}}, 2), 2)
	f.Add(storedPeaks(f, 48000, [][]int16{make([]int16, 5000)}, 999), 0)
	f.Add([]byte(peaksMagic), -1)
	f.Fuzz(func(t *testing.T, b []byte, points int) {
		p, err := ReadPeaks(bytes.NewReader(b), points)
		if err != nil {
			return
		}
		for _, s := range p.Sides {
			if len(s) > MaxPeaks || points > 0 && len(s) > points || len(s) > len(b)/pointSize {
				t.Fatalf("%d points of %d bytes, %d asked for", len(s), len(b), points)
			}
		}
	})
}
