package control

import (
	"errors"
	"testing"

	"tapedeck/internal/voice"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.0/24", "192.0.2.7": "192.0.2.7/32", "0.0.0.0/0": "0.0.0.0/0",
		"2001:db8::/32": "2001:db8::/32", "2001:db8::1": "2001:db8::1/128", "::ffff:192.0.2.7": "192.0.2.7/32",
	} {
		got, err := ParseNetwork(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "192.0.2.1/24", "192.0.2.0/33", "localhost", "fe80::1%eth0", "192.0.2", "192.0.2.0/"} {
		if got, err := ParseNetwork(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestTrunkURI(t *testing.T) {
	for _, uri := range []string{
		"", "sip:pbx", "sip:pbx.example.com:5060", "sip:192.0.2.1", "sip:192.0.2.1:5060;transport=tcp", "sip:[2001:db8::1]", "sip:[2001:db8::1]:5060;transport=udp",
	} {
		if err := (&ChannelChange{TrunkURI: &uri}).apply(&voice.Channel{Number: "1"}); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
	for _, uri := range []string{
		"pbx", "sips:pbx", "tel:1", "sip:", "sip::5060", "sip:pbx:0x1", "sip:pbx:70000", "sip:a b", "sip:u@pbx", "sip:[pbx]", "sip:[::1", "sip:pbx;transport=tls", "sip:pbx;lr", "sip:pbx\r\nX: 1",
	} {
		if err := (&ChannelChange{TrunkURI: &uri}).apply(&voice.Channel{Number: "1"}); err == nil {
			t.Errorf("%q was taken", uri)
		}
	}
}

// TestChannelFaults: every fault of a change is told, not only the first, and
// a change with a fault changes nothing that is kept.
func TestChannelFaults(t *testing.T) {
	number, uri, password := "", "x", "p"
	sources := []string{"192.0.2.0/24", "x", "192.0.2.1/24"}
	in := ChannelChange{Number: &number, TrunkURI: &uri, TrunkPassword: &password, InboundPassword: &password, Sources: &sources}
	err := in.apply(&voice.Channel{Number: "1"})
	var e *voice.Error
	if !errors.As(err, &e) || e.Code != voice.CodeValidationFailed {
		t.Fatal(err)
	}
	for _, member := range []string{"number", "trunk.uri", "trunk.username", "inbound.username", "inbound.sources.1", "inbound.sources.2"} {
		if len(e.Details[member]) != 1 {
			t.Errorf("of %s is said %q", member, e.Details[member])
		}
	}
	if len(e.Details) != 6 {
		t.Errorf("faults: %v", e.Details)
	}
}

func TestUnfilledFlow(t *testing.T) {
	faults := map[string][]string{}
	unfilledFlow(faults, "callFlow", []voice.FlowCommand{
		{Command: &voice.Hangup{}}, {Command: &voice.Bridge{To: "{to}", From: "{from}"}}, {Command: &voice.Bridge{To: "sip:{x}@y"}},
	})
	if len(faults) != 2 || faults["callFlow.1.options.to"] == nil || faults["callFlow.1.options.from"] == nil {
		t.Errorf("faults: %v", faults)
	}
}

func TestNoAudio(t *testing.T) {
	for _, status := range voice.RecordingStatuses() {
		for _, cause := range append(voice.EndCauses(), "") {
			if e := noAudio(voice.Recording{Status: status, EndCause: cause}); e.Code != voice.CodeNotFound || e.Message == "" {
				t.Errorf("%s %s: %v", status, cause, e)
			}
		}
	}
}

func TestTargetPath(t *testing.T) {
	for want, target := range map[string]Target{
		"/workspaces/w":                                 {Workspace: "w"},
		"/workspaces/w/channels/c":                      {Workspace: "w", Channel: "c"},
		"/workspaces/w/channels/c/calls/a":              {Workspace: "w", Channel: "c", Call: "a"},
		"/workspaces/w/channels/c/calls/a/recordings/r": {Workspace: "w", Channel: "c", Call: "a", Recording: "r"},
		"/workspaces/w/recordings/r":                    {Workspace: "w", Recording: "r"},
	} {
		if got := target.path(); got != want {
			t.Errorf("%+v: %s", target, got)
		}
	}
}
