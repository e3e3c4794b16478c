package sip

import (
	"sync"
	"testing"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// TestGivingUpCrossesOurAnswer: the caller's CANCEL or BYE has arrived, but was not
// looked at yet, when Answer is called. Whoever calls Answer takes the call for answered
// from then on, so its 2xx stands (RFC 3261 §9.2) and the call ends as an answered one.
func TestGivingUpCrossesOurAnswer(t *testing.T) {
	for _, test := range []struct {
		name, method string
		acked        bool
	}{
		{"CANCEL then ACK and BYE", methodCancel, true},
		{"CANCEL then nothing", methodCancel, false},
		{"BYE", methodBye, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			guard(t)
			o := Options{}
			if test.method == methodCancel && !test.acked {
				o.T1 = quick // that nobody acknowledges is found after 64·T1
			}
			b := run(t, o)
			c := caller(t, b, udp)
			c.Send(c.Request("INVITE", offer))
			in := b.incoming(t)
			must(t, in.Progress(180, nil))
			ringing := c.Expect("180 INVITE")
			stands, held := make(chan struct{}, 1), make(chan struct{})
			goOn := sync.OnceFunc(func() { close(held) })
			defer goOn()
			in.post(input{run: func() { stands <- struct{}{}; <-held }}) // what comes now waits in the mailbox
			testkit.Receive(t, siptest.Patience, stands)
			if test.method == methodBye {
				c.Learn(ringing)
			}
			c.Send(c.Request(test.method, ""))
			testkit.Eventually(t, siptest.Patience, func() bool {
				in.mu.Lock()
				defer in.mu.Unlock()
				return in.mail > 0
			})
			must(t, in.Answer([]byte(reply2)))
			goOn()

			c.Expect("200 " + test.method)
			c.Learn(c.Expect("200 INVITE"))
			switch {
			case test.method == methodBye:
				ended(t, in, Remote, 200, 16)
			case test.acked:
				c.Send(c.Request("ACK", ""))
				want[Confirmed](t, in)
				c.Send(c.Request("BYE", ""))
				c.Expect("200 BYE")
				ended(t, in, Remote, 200, 16)
			default:
				ended(t, in, Timeout, 408, causeTimeout)
				c.Expect("BYE")
			}
		})
	}
}
