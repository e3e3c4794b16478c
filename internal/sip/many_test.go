package sip

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestManyCalls: two hundred at once, each with a re-INVITE right behind the ACK, in
// order on both ends.
func TestManyCalls(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		const n = 200
		a, b := run(t, Options{T1: 500 * time.Millisecond}), run(t, Options{T1: 500 * time.Millisecond})
		done := make(chan string, 2*n)
		go func() {
			for range n {
				in := <-b.calls
				go func() { done <- callee(in) }()
			}
		}()
		for i := range n {
			out := a.dial(t, uri(b, transport), func(o *InviteOptions) { o.From = strconv.Itoa(i) })
			go func() { done <- callerScript(out) }()
		}
		for range 2 * n {
			if bad := testkit.Receive(t, 30*time.Second, done); bad != "" {
				t.Error(bad)
			}
		}
	})
}

// callee answers, takes the re-INVITE, and waits for the end. It gives what went wrong.
func callee(l *leg) string {
	if err := l.Answer([]byte(reply2)); err != nil {
		return err.Error()
	}
	e := <-l.events
	if _, ok := e.(Confirmed); !ok {
		return fmt.Sprintf("callee: no Confirmed first but %T %+v", e, e)
	}
	e = <-l.events
	if _, ok := e.(Offered); !ok {
		return fmt.Sprintf("callee: no Offered but %T %+v", e, e)
	}
	if err := l.AcceptOffer([]byte(reply2)); err != nil {
		return err.Error()
	}
	if e := <-l.events; kind(e) != "Ended" {
		return "callee: no Ended but " + kind(e)
	}
	return ""
}

func callerScript(l *leg) string {
	e := <-l.events
	if _, ok := e.(Answered); !ok {
		return fmt.Sprintf("caller: no Answered but %T %+v", e, e)
	}
	if err := l.Reoffer([]byte(offer)); err != nil {
		return err.Error()
	}
	if e := <-l.events; kind(e) != "Reanswered" {
		return "caller: no Reanswered but " + kind(e)
	}
	if err := l.Hangup(0); err != nil {
		return err.Error()
	}
	if e := <-l.events; kind(e) != "Ended" {
		return "caller: no Ended but " + kind(e)
	}
	return ""
}

func kind(e Event) string {
	switch e.(type) {
	case Ringing:
		return "Ringing"
	case Answered:
		return "Answered"
	case Confirmed:
		return "Confirmed"
	case Offered:
		return "Offered"
	case Reanswered:
		return "Reanswered"
	case ReofferFailed:
		return "ReofferFailed"
	case Ended:
		return "Ended"
	}
	return "nothing"
}
