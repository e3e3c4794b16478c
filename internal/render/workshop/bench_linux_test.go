package workshop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkMake renders calls here and in another process, and converts them.
// x-realtime is by the clock: the process works while this one waits.
func BenchmarkMake(b *testing.B) {
	for _, length := range []time.Duration{2 * time.Second, 30 * time.Second, time.Hour} {
		path := call(b, length)
		for _, where := range []string{"here", "crew"} {
			b.Run(fmt.Sprintf("talk=%s/%s", length, where), func(b *testing.B) {
				c := crew(b, "good", Options{})
				m := maker(c)
				if where == "here" {
					m = &Here{}
				}
				b.ReportAllocs()
				for b.Loop() {
					out := file(b)
					if _, err := m.Make(b.Context(), &Order{Journal: path, Out: out, Peaks: file(b)}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(length.Seconds()*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
				if where != "here" {
					b.ReportMetric(peak(b, c.pid(b)), "MB-peak")
				}
			})
		}
	}
}

// BenchmarkStart is what the first file costs for which there is no process.
func BenchmarkStart(b *testing.B) {
	c := crew(b, "good", Options{})
	path := call(b, time.Second)
	for b.Loop() {
		h, err := c.take(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.make(b.Context(), &Order{Journal: path}, nil); err != nil {
			b.Fatal(err)
		}
		c.dismiss(h)
	}
}

// peak is the most memory that a process had, in MB.
func peak(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ = strings.Cut(text, " kB")
	kB, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		b.Fatal(err)
	}
	return float64(kB) / 1000
}
