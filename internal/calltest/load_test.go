package calltest

import (
	"os"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// Every frame of a dozen calls comes out at the other end and is in the file of
// its call, on its side, in its place.
func TestEveryFrameIsKept(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	l := RunLoad(t, Serve(t, Build(t)), 12, 3*time.Second)
	t.Log(l)
	judgeLoad(t, l)
}

func judgeLoad(t testing.TB, l *Load) {
	t.Helper()
	if w := l.Wire; w.Connected != w.Calls || w.Lost != 0 || w.Duplicate != 0 || w.CrossTalk != 0 || w.Unmarked != 0 {
		t.Error("the relay did not bring every frame, once, to its party")
	}
	if l.Lost != 0 || l.Misplaced != 0 || l.Moved != 0 || l.Kept != l.Wire.Sent {
		t.Error("the files do not hold every frame in its place")
	}
}

// BenchmarkBridgedCalls is the load that one core must carry: 200 calls, bridged
// and recorded, for a minute. It is run once: -benchtime 1x. Its numbers are for
// a machine with nothing else to do.
func BenchmarkBridgedCalls(b *testing.B) {
	calls, talk := 200, time.Minute
	for _, v := range []struct {
		name string
		set  func(string) error
	}{
		{"LOAD_CALLS", func(s string) (err error) { calls, err = strconv.Atoi(s); return err }},
		{"LOAD_TALK", func(s string) (err error) { talk, err = time.ParseDuration(s); return err }},
	} {
		if s := os.Getenv(v.name); s != "" {
			if err := v.set(s); err != nil {
				b.Fatalf("%s: %v", v.name, err)
			}
		}
	}
	binary := OnOneCore(b, Build(b))
	for b.Loop() {
		l := RunLoad(b, Serve(b, binary), calls, talk)
		b.Log(l)
		judgeLoad(b, l)
		b.ReportMetric(l.CPUPerMinute().Seconds(), "cpu-s/call-min")
		b.ReportMetric(float64(l.Wire.Lost), "frames-lost")
		b.ReportMetric(float64(l.Lost), "frames-not-kept")
		b.ReportMetric(float64(l.Wire.Latency.Quantile(0.5).Microseconds()), "p50-µs")
		b.ReportMetric(float64(l.Wire.Latency.Quantile(0.99).Microseconds()), "p99-µs")
		b.ReportMetric(float64(l.Wire.Latency.Quantile(0.999).Microseconds()), "p999-µs")
		b.ReportMetric(l.ReadyAfter.Seconds(), "s-to-last-file")
	}
}
