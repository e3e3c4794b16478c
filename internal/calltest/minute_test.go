package calltest

import (
	"fmt"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// BenchmarkAvailable measures how long after the hangup of a one-minute call
// its stereo recording is available by the API.
func BenchmarkAvailable(b *testing.B) {
	testkit.Timeout(b, time.Duration(b.N+1)*2*time.Minute)
	s := NewStage(b)
	worst := time.Duration(0)
	for i := range b.N {
		near := s.Party(b, callgen.PartyOptions{User: fmt.Sprintf("61%d", i)})
		far := s.Party(b, callgen.PartyOptions{User: fmt.Sprintf("62%d", i)})
		call, _ := s.Bridged(b, near, far, "")
		rec := s.Record(b, call.ID, `{"stereo":true}`)
		near.Play(callgen.PCM(sweep(60, 300, 3300)))
		hearing(b, far, time.Minute)
		if err := near.Hangup(); err != nil {
			b.Fatal(err)
		}
		from := time.Now()
		s.AwaitRecording(b, rec, "available")
		worst = max(worst, time.Since(from))
	}
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms-to-available")
}
