package sip

import (
	"errors"
	"testing"
	"time"
)

// TestInfo: keys come by INFO once each, whatever is sent again, and what is no key
// says why (RFC 6086 §4.2).
func TestInfo(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{})
		c := caller(t, b, transport)
		c.Send(c.Request("INVITE", offer))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		c.Learn(c.Expect("200 INVITE"))
		c.Send(c.Request("ACK", ""))
		want[Confirmed](t, in)
		const relay, plain = "Content-Type: application/dtmf-relay", "Content-Type: Application/DTMF;x=y"
		for _, test := range []struct {
			header, body, answer string
			info                 Info
		}{
			{relay, "Signal=5\r\nDuration=160\r\n", "200", Info{'5', 160 * time.Millisecond}},
			{relay, "duration = 90\nsignal= *", "200", Info{'*', 90 * time.Millisecond}},
			{relay, "Signal=11", "200", Info{'#', 0}},
			{relay, "Signal=d\r\nDuration=much", "200", Info{'D', 0}},
			{plain, "7", "200", Info{'7', 0}},
			{plain, "10\r\n", "200", Info{'*', 0}},
			{relay, "Signal=x", "400", Info{}},
			{relay, "Duration=160", "400", Info{}},
			{relay, "\r\n", "400", Info{}},
			{plain, "55", "400", Info{}},
			{"Content-Type: application/sdp", "v=0\r\n", "415", Info{}},
			{"Content-Type: ;;;", "x", "415", Info{}},
			{relay + "\r\nContent-Encoding: gzip", "Signal=5", "415", Info{}},
			{relay + "\r\nRequire: magic", "Signal=5", "420", Info{}},
		} {
			c.Send(c.Request("INFO", test.body, test.header))
			m := c.Expect(test.answer + " INFO")
			if test.answer == "415" && m.Get("Accept") == "" {
				t.Errorf("%q: no Accept", test.body)
			}
			if test.info == (Info{}) {
				continue
			}
			c.Send(c.Again("INFO", test.body, test.header))
			c.Expect("200 INFO")
			if got := want[Info](t, in); got != test.info {
				t.Errorf("%q: %+v, want %+v", test.body, got, test.info)
			}
		}
		c.Send(c.Request("BYE", ""))
		c.Expect("200 BYE")
		ended(t, in, Remote, 200, 16)
		c.Send(c.Request("INFO", "5", plain))
		c.Expect("481 INFO")
	})
}

// TestInfoWithoutADialog is 481.
func TestInfoWithoutADialog(t *testing.T) {
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INFO", "5", "Content-Type: application/dtmf"))
	c.Expect("481 INFO")
}

// TestSendKey: our keys come to the other side, in order.
func TestSendKey(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		caller, callee := connect(t, a, b, transport)
		for _, key := range []byte("1*#D") {
			must(t, caller.SendKey(key, 100*time.Millisecond))
			if got := want[Info](t, callee); got != (Info{key, 100 * time.Millisecond}) {
				t.Errorf("%c came as %+v", key, got)
			}
		}
		if err := caller.SendKey('x', 0); err == nil {
			t.Error("x is a key")
		}
		must(t, caller.Hangup(0))
		ended(t, caller, Local, 200, 16)
		ended(t, callee, Remote, 200, 16)
		if err := caller.SendKey('1', 0); !errors.Is(err, ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func FuzzInfo(f *testing.F) {
	for _, body := range []string{"Signal=5\r\nDuration=160", "5", "Signal=\r\n=\r\n", "Signal=12\nSignal=x"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, kind := range []string{relayType, plainType} {
			if e, ok := readKey(kind, body); ok {
				if key, known := keyOf(string(e.Key)); !known || key != e.Key || e.Duration < 0 {
					t.Errorf("%q is %+v", body, e)
				}
			} else if e != (Info{}) && e.Key != 0 {
				t.Errorf("%q is no key, and %+v", body, e)
			}
		}
	})
}
