package calltest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// A call that was scheduled is placed at its time although the server was killed
// before, as it was asked for: recorded, and hung up by its flow.
func TestScheduledCallOutlivesAKill(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	s := NewStage(t)
	far := s.Party(t, callgen.PartyOptions{})
	at := time.Now().Add(3 * time.Second).UTC()
	var c Call
	s.Do(t, http.MethodPost, s.callsPath(), fmt.Sprintf(`{"to":%q,"record":true,"scheduledFor":%q,
		"callFlow":[{"command":"pause","options":{"length":1}},{"command":"hangup"}]}`, far.URI(), at.Format("2006-01-02T15:04:05.000Z")), http.StatusAccepted, &c)
	if c.Status != "scheduled" {
		t.Fatalf("the call is %s", c.Status)
	}
	s.Kill(t)
	s.Restart(t)
	done := s.AwaitStatus(t, c.ID, "completed")
	if answered := instantOf(t, done.AnsweredAt); answered.Before(at.Truncate(time.Millisecond)) {
		t.Errorf("it was answered at %s, before it was due at %s", answered, at)
	}
	list := s.Recordings(t)
	if len(list) != 1 || list[0].SourceID != c.ID || list[0].Origin != "create-call" {
		t.Fatalf("its recordings are %+v", list)
	}
	if r := s.AwaitRecording(t, list[0].ID, "available"); r.DurationMs < 900 {
		t.Errorf("its recording lasts %d ms", r.DurationMs)
	}
}
