package session

import (
	"testing"

	"tapedeck/internal/sip"
	"tapedeck/internal/voice"
)

func TestTarget(t *testing.T) {
	trunk := voice.Channel{Trunk: voice.Trunk{URI: "sip:198.51.100.7:5070;transport=tcp", Username: "u", Password: "p"}}
	for _, c := range []struct {
		name    string
		channel voice.Channel
		to      string
		want    destination
		bad     bool
	}{
		{name: "number over the trunk", channel: trunk, to: "+3512", want: destination{uri: "sip:+3512@198.51.100.7:5070;transport=tcp", kind: voice.CallPSTN, username: "u", password: "p"}},
		{name: "trunk with a user part", channel: voice.Channel{Trunk: voice.Trunk{URI: "sip:me@host"}}, to: "12", want: destination{uri: "sip:12@host", kind: voice.CallPSTN}},
		{name: "URI goes directly and without the trunk's secret", channel: trunk, to: "sip:bob@127.0.0.1:5080", want: destination{uri: "sip:bob@127.0.0.1:5080", kind: voice.CallSIP}},
		{name: "number without a trunk", to: "12", bad: true},
		{name: "URI with a transport", channel: trunk, to: "sip:bob@h;lr;Transport=TCP?x=y", want: destination{uri: "sip:bob@h;lr;Transport=TCP?x=y", kind: voice.CallSIP}},
		{name: "URI with a transport that is not spoken", channel: trunk, to: "sip:bob@h;transport=ws", bad: true},
		{name: "words", channel: trunk, to: "bob", bad: true},
		{name: "empty", channel: trunk, bad: true},
		{name: "plus alone", channel: trunk, to: "+", bad: true},
		{name: "header injection", channel: trunk, to: "sip:bob@host\r\nX: y", bad: true},
		{name: "number with a host in it", channel: trunk, to: "12@evil", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := target(&c.channel, c.to)
			if c.bad {
				if voice.CodeOf(err) != voice.CodeValidationFailed {
					t.Fatalf("error %v, want validation_failed", err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestEndStatus(t *testing.T) {
	incoming, outgoing := voice.Incoming, voice.Outgoing
	decided := func(source voice.HangupSource) end { return end{ending: ending{source: source}, decided: true} }
	for _, c := range []struct {
		name      string
		direction voice.Direction
		end       end
		e         sip.Ended
		status    voice.CallStatus
		source    voice.HangupSource
	}{
		{"callee busy", outgoing, end{}, sip.Ended{By: sip.Remote, Code: 486}, voice.CallBusy, voice.HangupByCallee},
		{"callee declines", outgoing, end{}, sip.Ended{By: sip.Remote, Code: 603}, voice.CallBusy, voice.HangupByCallee},
		{"callee away", outgoing, end{}, sip.Ended{By: sip.Remote, Code: 480}, voice.CallNoAnswer, voice.HangupByCallee},
		{"no such number", outgoing, end{}, sip.Ended{By: sip.Remote, Code: 404}, voice.CallFailed, voice.HangupByCallee},
		{"peer silent", outgoing, end{}, sip.Ended{By: sip.Timeout, Code: 408}, voice.CallNoAnswer, voice.HangupByTimeout},
		{"network gone", outgoing, end{}, sip.Ended{By: sip.Transport, Code: 503}, voice.CallFailed, voice.HangupByNone},
		{"hung up by API while it rings", outgoing, decided(voice.HangupByAPI), sip.Ended{By: sip.Local, Code: 487}, voice.CallCancelled, voice.HangupByAPI},
		{"ring timeout", outgoing, decided(voice.HangupByTimeout), sip.Ended{By: sip.Local, Code: 487}, voice.CallNoAnswer, voice.HangupByTimeout},
		{"caller cancels", incoming, end{}, sip.Ended{By: sip.Remote, Code: 487}, voice.CallNoAnswer, voice.HangupByCaller},
		{"turned away as busy", incoming, decided(voice.HangupByAPI), sip.Ended{By: sip.Local, Code: 486}, voice.CallBusy, voice.HangupByAPI},
		{"nobody decided", incoming, decided(voice.HangupByTimeout), sip.Ended{By: sip.Local, Code: 480}, voice.CallNoAnswer, voice.HangupByTimeout},
		{"no common codec", incoming, decided(voice.HangupByNone), sip.Ended{By: sip.Local, Code: 488}, voice.CallFailed, voice.HangupByNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &leg{call: voice.Call{Direction: c.direction}, end: c.end}
			if got := l.endStatus(c.e); got != c.status {
				t.Errorf("status %s, want %s", got, c.status)
			}
			if got := l.hangupSource(c.e); got != c.source {
				t.Errorf("hangup source %s, want %s", got, c.source)
			}
		})
	}
}
