package calltest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// sidesOf is what the API says of who is on which side of a recording.
type sidesOf struct {
	Channels []struct {
		Channel             int
		Party, CallID, Role string
	}
}

// farFirst: the far party is heard long before the near one, whose media comes
// last; the near one is left all the same.
func farFirst(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "5201"}), s.Party(t, callgen.PartyOptions{User: "5202"})
	call, farCall := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	one, two := said(300, 1500), said(1700, 3300)
	play(t, far, near, two)
	play(t, near, far, one)
	s.Command(t, call.ID, "hangup", "")
	s.AwaitRecording(t, rec, "available")
	a := s.Audio(t, rec)
	found(t, a.Sides[0], one, "near party")
	found(t, a.Sides[1], two, "far party")
	missing(t, a.Sides[0], two, "the far party on the near side")
	missing(t, a.Sides[1], one, "the near party on the far side")
	s.sides(t, rec, call.ID, "caller", farCall, "callee")
}

// placedAndBridged: left is the party of the call that was recorded, whoever
// called whom; the roles say who that was.
func placedAndBridged(t *testing.T, s *Stage) {
	called, other := s.Party(t, callgen.PartyOptions{User: "5301"}), s.Party(t, callgen.PartyOptions{User: "5302"})
	var call Call
	s.Do(t, http.MethodPost, s.callsPath(), `{"to":"`+called.URI()+`"}`, http.StatusAccepted, &call)
	s.AwaitStatus(t, call.ID, "ongoing")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	otherCall := s.BridgeTo(t, call.ID, other.URI())
	s.AwaitStatus(t, otherCall, "ongoing")
	one, two := said(300, 1500), said(1700, 3300)
	play(t, other, called, two)
	play(t, called, other, one)
	s.Command(t, call.ID, "hangup", "")
	s.AwaitRecording(t, rec, "available")
	a := s.Audio(t, rec)
	found(t, a.Sides[0], one, "the called party")
	found(t, a.Sides[1], two, "the party that it was joined with")
	missing(t, a.Sides[0], two, "the other party on the left")
	s.sides(t, rec, call.ID, "callee", otherCall, "callee")
}

// sides checks what the API says of the sides: the call of each, and the role of
// its party.
func (s *Stage) sides(t *testing.T, rec, left, leftRole, right, rightRole string) {
	t.Helper()
	var got sidesOf
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec, "", http.StatusOK, &got)
	want := []struct{ call, role string }{{left, leftRole}, {right, rightRole}}
	if len(got.Channels) != len(want) {
		t.Fatalf("sides %+v", got.Channels)
	}
	for i, c := range got.Channels {
		if c.Channel != i || c.CallID != want[i].call || c.Role != want[i].role {
			t.Errorf("side %d is of call %s (%s), want %s (%s)", i, c.CallID, c.Role, want[i].call, want[i].role)
		}
	}
}

// TestNoFileIsSeenEverywhere: a file that cannot be stored shows in the API, in
// the figures and in the log, and comes when the storage is back.
func TestNoFileIsSeenEverywhere(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	s := NewStage(t)
	obstacle := filepath.Join(s.Data, "recordings", string(s.Workspace))
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil { // a file where the folder shall be
		t.Fatal(err)
	}
	near, far := s.Party(t, callgen.PartyOptions{User: "5401"}), s.Party(t, callgen.PartyOptions{User: "5402"})
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	hearing(t, near, 200*time.Millisecond)
	s.Command(t, call.ID, "hangup", "")

	var seen struct{ Status, Problem string }
	testkit.Eventually(t, patience, func() bool {
		s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec, "", http.StatusOK, &seen)
		return seen.Problem != ""
	})
	if seen.Status != "completed" || strings.Contains(seen.Problem, s.Data) {
		t.Errorf("the API says %+v", seen)
	}
	failed := regexp.MustCompile(`(?m)^tapedeck_publish_renders_total\{outcome="failed"\} [1-9]`)
	testkit.Eventually(t, patience, func() bool {
		return failed.Match(s.Do(t, http.MethodGet, "/metrics", "", http.StatusOK, nil))
	})
	testkit.Eventually(t, patience, func() bool {
		log, err := os.ReadFile(s.log.Name())
		return err == nil && regexp.MustCompile(fmt.Sprintf(`"level":"(WARN|ERROR)".*%s`, rec)).Match(log)
	})
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	var after map[string]any
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec, "", http.StatusOK, &after)
	if p, there := after["problem"]; there {
		t.Errorf("the file is there, but the problem stays: %v", p)
	}
	if sides := s.Audio(t, rec).Sides; len(sides) != 2 || len(sides[0]) == 0 {
		t.Errorf("the file has %d sides", len(sides))
	}
}
