package calltest

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// Command is what the tests read of a command of a call.
type Command struct {
	ID, CallID, CallFlowID     string
	Command, Status, Reason    string
	Keys, Speech               *string
	RecordingID, BridgedCallID string
	StartedAt, EndedAt         string
}

func (c *Command) ended() bool {
	return slices.Contains([]string{"completed", "failed", "skipped"}, c.Status)
}

// Give gives the call a command that must be accepted, and returns it. A record
// command has its recording, a bridge the call of the far party.
func (s *Stage) Give(t testing.TB, call, command, options string) Command {
	t.Helper()
	data := s.Do(t, http.MethodPost, s.callsPath()+"/"+call+"/"+command, options, http.StatusAccepted, nil)
	var whole struct {
		Command     json.RawMessage
		RecordingID string
		BridgedCall Call
	}
	var c Command
	err := json.Unmarshal(data, &whole)
	if err == nil && whole.Command[0] == '{' {
		data = whole.Command
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil || c.ID == "" || c.CallID != call || c.Command != command || c.Status != "accepted" {
		t.Fatalf("%s was answered %s: %v", command, data, err)
	}
	c.RecordingID, c.BridgedCallID = whole.RecordingID, whole.BridgedCall.ID
	return c
}

// Became waits until the command of the call has come to the status. It must not
// come to another end.
func (s *Stage) Became(t testing.TB, call, command, status string) (found Command) {
	t.Helper()
	testkit.Eventually(t, patience, func() bool {
		for _, c := range s.CallOf(t, call).Commands {
			if c.ID == command {
				found = c
			}
		}
		if found.ended() && found.Status != status {
			t.Fatalf("%s is %s (%s), want %s", found.Command, found.Status, found.Reason, status)
		}
		return found.Status == status
	})
	return found
}

// CallOf reads a call.
func (s *Stage) CallOf(t testing.TB, id string) (c Call) {
	t.Helper()
	s.Do(t, http.MethodGet, s.callsPath()+"/"+id, "", http.StatusOK, &c)
	return c
}

// Answered lets the party call the server's number, and answers by the API.
func (s *Stage) Answered(t testing.TB, o callgen.PartyOptions) (*callgen.Party, string) {
	t.Helper()
	p := s.Party(t, o)
	d := s.Dial(t, p, s.Number)
	call := s.CallFrom(t, p, "ringing")
	s.Give(t, call.ID, "answer", "")
	d.Up(t)
	return p, call.ID
}

// Place lets the server call somebody; more are further members of the request.
func (s *Stage) Place(t testing.TB, to, more string) (c Call) {
	t.Helper()
	s.Do(t, http.MethodPost, s.callsPath(), `{"to":"`+to+`"`+more+`}`, http.StatusAccepted, &c)
	return c
}

// Reflow puts a call flow in the place of the running one.
func (s *Stage) Reflow(t testing.TB, call, flow string) (c Call) {
	t.Helper()
	s.Do(t, http.MethodPatch, s.callsPath()+"/"+call, `{"callFlow":`+flow+`}`, http.StatusAccepted, &c)
	return c
}

// Upload keeps an audio file on the server and returns how a playback names it.
func (s *Stage) Upload(t testing.TB, file []byte) string {
	t.Helper()
	var m struct{ ID string }
	s.Do(t, http.MethodPost, s.workspacePath()+"/media", string(file), http.StatusCreated, &m)
	return "media:" + m.ID
}
