package calltest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// Stage is a running server with parties of ours around it.
type Stage struct {
	*Program
	Parties *callgen.Endpoint
}

// NewStage starts the server and the parties' endpoint.
func NewStage(t testing.TB, args ...string) *Stage {
	t.Helper()
	return stageOf(t, Serve(t, Build(t), args...))
}

// stageOf puts the parties' endpoint beside a server.
func stageOf(t testing.TB, p *Program) *Stage {
	t.Helper()
	s := &Stage{Program: p}
	e, err := callgen.New(callgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Parties = e
	ended := make(chan error, 1) // sent to once, by Run's goroutine
	go func() { ended <- e.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), <-ended); err != nil {
			t.Errorf("the parties' endpoint ended: %v", err)
		}
	})
	return s
}

// Party makes a party with a name that no other party has.
func (s *Stage) Party(t testing.TB, o callgen.PartyOptions) *callgen.Party {
	t.Helper()
	p, err := s.Parties.Party(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Dialling is a call that a party makes in the background.
type Dialling struct {
	ended chan error // sent to once, when the call is up or refused
}

// Dial lets the party call a number of the server.
func (s *Stage) Dial(t testing.TB, p *callgen.Party, number string) *Dialling {
	t.Helper()
	d := &Dialling{ended: make(chan error, 1)}
	ctx, uri := t.Context(), "sip:"+number+"@"+s.SIP // a restart changes the address
	go func() { d.ended <- p.Dial(ctx, uri) }()
	return d
}

// Up waits until the call is answered.
func (d *Dialling) Up(t testing.TB) {
	t.Helper()
	if err := testkit.Receive(t, patience, d.ended); err != nil {
		t.Fatalf("the call did not come about: %v", err)
	}
}

// Refused waits until the call is refused and returns the SIP status.
func (d *Dialling) Refused(t testing.TB) int {
	t.Helper()
	err := testkit.Receive(t, patience, d.ended)
	var refused *callgen.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("the call ended with %v, want a refusal", err)
	}
	return refused.Ended.Code
}

// CallFrom waits for the newest incoming call of a party in a status.
func (s *Stage) CallFrom(t testing.TB, p *callgen.Party, status string) Call {
	t.Helper()
	var list struct{ Results []Call }
	testkit.Eventually(t, patience, func() bool {
		s.Do(t, http.MethodGet, s.workspacePath()+"/channels/calls?direction=incoming&status="+status+"&from="+p.User(), "", http.StatusOK, &list)
		return len(list.Results) > 0
	})
	return list.Results[0]
}

// AwaitStatus waits until the call is in the status.
func (s *Stage) AwaitStatus(t testing.TB, id, status string) Call {
	t.Helper()
	var c Call
	testkit.Eventually(t, patience, func() bool {
		s.Do(t, http.MethodGet, s.callsPath()+"/"+id, "", http.StatusOK, &c)
		return c.Status == status
	})
	return c
}

// Command gives the call a command that must be accepted.
func (s *Stage) Command(t testing.TB, call, command, body string) {
	t.Helper()
	s.Do(t, http.MethodPost, s.callsPath()+"/"+call+"/"+command, body, http.StatusAccepted, nil)
}

// Steer pauses, resumes or stops a recording.
func (s *Stage) Steer(t testing.TB, call, rec, body string) {
	t.Helper()
	s.Do(t, http.MethodPatch, s.callsPath()+"/"+call+"/recordings/"+rec, body, http.StatusAccepted, nil)
}

// Bridged makes an incoming call of near and joins it with far. It returns the
// near and the far call when both are up.
func (s *Stage) Bridged(t testing.TB, near, far *callgen.Party, options string) (Call, string) {
	t.Helper()
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing")
	var out struct{ BridgedCall Call }
	s.Do(t, http.MethodPost, s.callsPath()+"/"+call.ID+"/bridge", fmt.Sprintf(`{"to":%q%s}`, far.URI(), options), http.StatusAccepted, &out)
	d.Up(t)
	s.AwaitStatus(t, out.BridgedCall.ID, "ongoing")
	return call, out.BridgedCall.ID
}

// hearing waits until so much audio has come to the party since it was asked.
func hearing(t testing.TB, p *callgen.Party, d time.Duration) {
	t.Helper()
	want := p.HeardCount() + int(d/(20*time.Millisecond))
	testkit.Eventually(t, d+patience, func() bool { return p.HeardCount() >= want })
}
