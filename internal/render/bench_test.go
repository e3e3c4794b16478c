package render

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// longCall writes the journal of a stereo G.711 call without keeping it in
// memory, a block for each 250 ms as the recorder does.
func longCall(t testing.TB, length time.Duration) string {
	t.Helper()
	return drifting(t, length, 0, 0)
}

// drifting is longCall with senders whose clocks are fast by so many parts in a
// million.
func drifting(t testing.TB, length time.Duration, ppm ...float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "long.journal")
	s := newScene().track(0, 0, "A", "a", "caller").track(0, 1, "B", "b", "callee").begin(0).join(0, "A", "B")
	w, err := journal.Create(path, s.header, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.events {
		err = errors.Join(err, w.Control(e.entry))
	}
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	frames := int(length / (20 * ms))
	for i := range frames {
		for track := range uint16(2) {
			at := time.Duration(float64(i+1)*float64(20*ms)*(1-ppm[track]/1e6)) + time.Duration(i*7919%4000)*time.Microsecond
			err = errors.Join(err, w.Packet(at, track, &journal.Packet{
				Seq: uint16(i), Time: uint32(160 * i), SSRC: uint32(track), Payload: payload,
			}))
		}
		if i%12 == 11 {
			err = errors.Join(err, w.Flush())
		}
	}
	err = errors.Join(err, w.Control(journal.Entry{Kind: journal.KindStop, At: length, Detail: journal.Detail{Cause: string(voice.EndCallEnded)}}), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// discard is a file that nobody reads.
type discard struct{ io.Writer }

func (discard) Seek(int64, int) (int64, error) { return 0, nil }

func makeAndWrite(t testing.TB, path string, w io.WriteSeeker, watch func(done, total int64)) Receipt {
	t.Helper()
	return renderOn(t, NewDesk(), path, w, watch)
}

func renderOn(t testing.TB, desk *Desk, path string, w io.WriteSeeker, watch func(done, total int64)) Receipt {
	t.Helper()
	j, err := journal.OpenIn(path, desk.Window())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	plan, err := Make(j, Layout{Stereo: true, Progress: watch, Desk: desk})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := plan.Write(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// Memory must not grow with the length of a recording but for one point of the
// clock per second.
func TestMemoryDoesNotGrowWithLength(t *testing.T) {
	length := 10 * time.Minute
	path := longCall(t, length)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, calls := heap(), uint64(0), 0
	makeAndWrite(t, path, discard{io.Discard}, func(int64, int64) {
		if calls++; calls%64 == 1 {
			most = max(most, heap())
		}
	})
	hours := length.Hours()
	if grown := float64(most) - float64(before); grown > 2<<20+hours*(1<<20) {
		t.Errorf("%.1f MiB of heap for %.1f hours", grown/(1<<20), hours)
	}
}

// BenchmarkRender renders calls of stereo G.711 on one desk, journal to WAV file:
// short ones, an hour, and the hour without the disk and with clocks that are off.
func BenchmarkRender(b *testing.B) {
	for _, c := range []struct {
		name    string
		length  time.Duration
		nowhere bool
		ppm     float64
	}{
		{"talk=30s", 30 * time.Second, false, 0},
		{"talk=1h", time.Hour, false, 0},
		{"talk=1h,nowhere", time.Hour, true, 0},
		{"talk=1h,nowhere,drift", time.Hour, true, 300},
	} {
		b.Run(c.name, func(b *testing.B) {
			path, desk, dir := drifting(b, c.length, c.ppm, -c.ppm), NewDesk(), b.TempDir()
			b.ReportAllocs()
			for b.Loop() {
				if c.nowhere {
					renderOn(b, desk, path, discard{io.Discard}, nil)
					continue
				}
				f, err := os.Create(filepath.Join(dir, "out.wav"))
				if err != nil {
					b.Fatal(err)
				}
				renderOn(b, desk, path, f, nil)
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(c.length.Seconds()*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}

// BenchmarkDay renders a day of stereo G.711 and reports the most memory that it
// had in use meanwhile: the heap, and all that the runtime took from the system.
// Its journal takes 2 GB of disk.
func BenchmarkDay(b *testing.B) {
	path := longCall(b, 24*time.Hour)
	runtime.GC()
	var heap, system uint64
	calls := 0
	b.ReportAllocs()
	for b.Loop() {
		makeAndWrite(b, path, discard{io.Discard}, func(int64, int64) {
			if calls++; calls%64 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				heap, system = max(heap, m.HeapInuse), max(system, m.Sys-m.HeapReleased)
			}
		})
	}
	b.ReportMetric(float64(heap)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(system)/(1<<20), "MiB-system")
}
