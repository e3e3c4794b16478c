package voice_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/voice"
)

func TestChannelFaults(t *testing.T) {
	good := voice.Channel{
		Name: "Lobby", Number: "+351210000000",
		Trunk:   voice.Trunk{URI: "sip:pbx.example.com:5060;transport=tcp", Username: "u", Password: "p"},
		Inbound: voice.Inbound{Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Username: "u", Password: "p", RingTimeout: 3},
		Codecs:  []string{"PCMA", "opus"},
	}
	good.Inbound.Flow = []voice.FlowCommand{
		{Command: &voice.Bridge{To: "{to}", Flow: []voice.FlowCommand{{Command: &voice.Pause{Length: 1}}}}}, {Command: &voice.Hangup{Cause: voice.CauseBusy}},
	}
	if faults := good.Faults(); faults != nil {
		t.Errorf("a good one: %v", faults)
	}
	long := strings.Repeat("x", 300)
	for member, spoil := range map[string]func(*voice.Channel){
		"name":             func(c *voice.Channel) { c.Name = long },
		"number":           func(c *voice.Channel) { c.Number = "" },
		"trunk.uri":        func(c *voice.Channel) { c.Trunk.URI = "pbx" },
		"trunk.username":   func(c *voice.Channel) { c.Trunk.Username = "" },
		"trunk.password":   func(c *voice.Channel) { c.Trunk.Password = "a\"b" },
		"inbound.username": func(c *voice.Channel) { c.Inbound.Username = "" },
		"inbound.password": func(c *voice.Channel) { c.Inbound.Password = long },
		"inbound.sources.1": func(c *voice.Channel) {
			c.Inbound.Sources = append(c.Inbound.Sources, netip.MustParsePrefix("192.0.2.1/24"))
		},
		"inbound.ringTimeout": func(c *voice.Channel) { c.Inbound.RingTimeout = 2 },
		"inbound.callFlow":    func(c *voice.Channel) { c.Inbound.Flow = slices.Repeat(good.Inbound.Flow[1:], 21) },
		"codecs.0":            func(c *voice.Channel) { c.Codecs = []string{"GSM"} },
		"inbound.callFlow.0.options.to": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Bridge{}}}
		},
		"inbound.callFlow.0.options.ringTimeout": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Bridge{To: "1", RingTimeout: 121}}}
		},
		"inbound.callFlow.0.options.maxDuration": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Bridge{To: "1", MaxDuration: -1}}}
		},
		"inbound.callFlow.0.options.recordStart": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Bridge{To: "1", RecordStart: "now"}}}
		},
		"inbound.callFlow.0.options.callFlow.0.options.length": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Bridge{To: "1", Flow: []voice.FlowCommand{{Command: &voice.Pause{}}}}}}
		},
		"inbound.callFlow.0.options.cause": func(c *voice.Channel) {
			c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Hangup{Cause: "x"}}}
		},
	} {
		c := good
		spoil(&c)
		if faults := c.Faults(); len(faults) != 1 || len(faults[member]) != 1 {
			t.Errorf("%s: %v", member, faults)
		}
	}
	open := good
	open.Inbound.Password = ""
	if faults := open.Faults(); len(faults) != 1 || len(faults["inbound.password"]) != 1 {
		t.Errorf("a user name without a password: %v", faults)
	}
	for _, uri := range []string{
		"sip:pbx", "sip:192.0.2.1", "sip:192.0.2.1:5060;transport=udp", "sip:[2001:db8::1]", "sip:[2001:db8::1]:5060;transport=tcp", "",
	} {
		c := voice.Channel{Number: "*", Trunk: voice.Trunk{URI: uri}}
		if faults := c.Faults(); faults != nil {
			t.Errorf("%s: %v", uri, faults)
		}
	}
	for _, uri := range []string{
		"sips:pbx", "sip:", "sip::5060", "sip:pbx:", "sip:pbx:0x1", "sip:pbx:70000", "sip:a b", "sip:u@pbx", "sip:[pbx]", "sip:[::1", "sip:::1", "sip:[::1%eth0]",
		"sip:[192.0.2.1]", "sip:x[::1]", "sip:pbx;transport=tls", "sip:pbx;lr", "sip:pbx\r\nX: 1", "sip:" + long,
	} {
		c := voice.Channel{Number: "1", Trunk: voice.Trunk{URI: uri}}
		if faults := c.Faults(); len(faults["trunk.uri"]) != 1 {
			t.Errorf("%q was taken: %v", uri, faults)
		}
	}
	for _, number := range []string{"a b", "1@x", "sip:1", long, "ä", "1;x"} {
		c := voice.Channel{Number: number}
		if c.Faults() == nil {
			t.Errorf("%q was taken", number)
		}
	}
}
