package apitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// patience is how long a test waits for what must happen soon.
const patience = 10 * time.Second

// agent is the SIP side of the tests: parties that call, and one that is
// called.
type agent struct {
	sip     *sip.Agent
	addr    netip.AddrPort // where parties take audio; nobody reads it
	codecs  []codec.Info
	callers atomic.Int64
}

func startAgent(t testing.TB) *agent {
	t.Helper()
	a := &agent{}
	for _, name := range []string{"PCMU", "telephone-event"} {
		info, ok := codec.Lookup(name, 8000)
		if !ok {
			t.Fatalf("no codec %s", name)
		}
		a.codecs = append(a.codecs, info)
	}
	sink, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	a.addr = sink.LocalAddr().(*net.UDPAddr).AddrPort()
	if a.sip, err = sip.New(sip.Options{Listen: "127.0.0.1:0", UserAgent: "party", OnInvite: a.answer}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1) // sent to once, by Run's goroutine
	go func() { ended <- a.sip.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the parties' SIP agent ended: %v", err)
		}
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// answer takes every call.
func (a *agent) answer(d *sip.Dialog) {
	d.Bind(func(sip.Event) {})
	body, _, err := a.negotiator().Answer(d.Request().SDP, sdp.SendRecv)
	if err != nil || d.Answer(body) != nil {
		_ = d.Reject(http.StatusInternalServerError, "") // the test sees the call fail
	}
}

func (a *agent) negotiator() *sdp.Negotiator {
	return sdp.New(sdp.Options{Addr: a.addr, Codecs: a.codecs})
}

// Called is the address of a party that answers every call.
func (n *Node) Called() string { return "sip:bob@" + n.agent.sip.Addr().String() }

// Party is somebody who called the server.
type Party struct {
	Path   string // of the call in the API
	ID     voice.CallID
	Number string // of the party
	dialog *sip.Dialog
	ended  chan sip.Ended // sent to once, by the dialog's last event
}

// Dial calls the channel's number and waits until the call rings.
func (n *Node) Dial(t testing.TB) *Party {
	t.Helper()
	p := &Party{Number: fmt.Sprintf("+1555%07d", n.agent.callers.Add(1)), ended: make(chan sip.Ended, 1)}
	offer, err := n.agent.negotiator().Offer(sdp.SendRecv)
	if err != nil {
		t.Fatal(err)
	}
	p.dialog, err = n.agent.sip.Invite(sip.InviteOptions{
		To: "sip:" + n.Number + "@" + n.SIP, From: p.Number, SDP: offer,
	}, func(e sip.Event) {
		if last, ok := e.(sip.Ended); ok {
			p.ended <- last
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() bool {
		list := n.Get(t, n.WorkspacePath()+"/channels/calls?status=ringing&from="+url.QueryEscape(p.Number))
		calls, _ := list["results"].([]any)
		if len(calls) != 1 {
			return false
		}
		call, _ := calls[0].(map[string]any)
		p.ID = voice.CallID(Text(call, "id"))
		p.Path = strings.Join([]string{n.WorkspacePath(), "channels", Text(call, "channelId"), "calls", string(p.ID)}, "/")
		return true
	})
	return p
}

// Answered calls the channel's number and has the API answer.
func (n *Node) Answered(t testing.TB) *Party {
	t.Helper()
	p := n.Dial(t)
	if a := n.Do(t, http.MethodPost, p.Path+"/answer", nil); a.Status != http.StatusAccepted {
		t.Fatalf("answer: %d %s", a.Status, a.Body)
	}
	n.Await(t, p.Path, "ongoing")
	return p
}

// Hangup ends the call from the party's side and waits until it has ended.
func (n *Node) Hangup(t testing.TB, p *Party) {
	t.Helper()
	if err := p.dialog.Hangup(16); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, patience, p.ended)
	testkit.Eventually(t, patience, func() bool {
		return voice.CallStatus(Text(n.Get(t, p.Path), "status")).Terminal()
	})
}

// Await waits until what is at the path has the status, and returns it.
func (n *Node) Await(t testing.TB, path, status string) (object map[string]any) {
	t.Helper()
	testkit.Eventually(t, patience, func() bool {
		object = n.Get(t, path)
		return Text(object, "status") == status
	})
	return object
}

// Record records the call and returns the recording's id.
func (n *Node) Record(t testing.TB, p *Party, body any) string {
	t.Helper()
	a := n.Do(t, http.MethodPost, p.Path+"/recordings", body)
	if a.Status != http.StatusAccepted {
		t.Fatalf("record: %d %s", a.Status, a.Body)
	}
	return Text(a.JSON(t), "recordingId")
}
