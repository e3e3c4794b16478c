package dispatch

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/session"
	"tapedeck/internal/sip"
	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// rig is a Dispatcher with real engines on the loopback interface.
type rig struct {
	agent    *sip.Agent
	sessions *session.Manager
	db       *store.DB
	parties  *sip.Agent
}

func newRig(t *testing.T, channels ...voice.Channel) *rig {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := &rig{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := func() time.Duration { return time.Duration(time.Now().UnixNano()) }
	dir, loopback := t.TempDir(), netip.MustParseAddr("127.0.0.1")
	var err error
	r.db, err = store.Open(t.Context(), store.Options{URL: filepath.Join(dir, "test.db")})
	must(err)
	t.Cleanup(func() {
		if err := r.db.Close(); err != nil {
			t.Error(err)
		}
	})
	at := time.Now().UTC()
	must(r.db.Update(t.Context(), func(tx *store.Tx) error {
		ws := voice.WorkspaceID(store.NewID())
		err := tx.InsertWorkspace(voice.Workspace{ID: ws, Name: "w", CreatedAt: at, UpdatedAt: at})
		for _, c := range channels {
			c.Workspace, c.CreatedAt, c.UpdatedAt = ws, at, at
			err = errors.Join(err, tx.InsertChannel(c))
		}
		return err
	}))
	engine, err := media.New(media.Options{BindIP: loopback, PublicIP: loopback, PortFrom: 33400, PortTo: 33499, Workers: 1, Now: now})
	must(err)
	run(t, engine.Run)
	records, err := recorder.New(recorder.Options{Dir: filepath.Join(dir, "journals"), Now: now})
	must(err)
	run(t, records.Run)
	var d *Dispatcher
	r.agent, err = sip.New(sip.Options{Listen: "127.0.0.1:0", OnInvite: func(dialog *sip.Dialog) { d.Invite(dialog) }})
	must(err)
	r.parties, err = sip.New(sip.Options{Listen: "127.0.0.1:0"})
	must(err)
	r.sessions, err = session.New(session.Options{Agent: r.agent, Media: engine, Recorder: records, DB: r.db, Now: now, MaxSessions: 1})
	must(err)
	d, err = New(Options{DB: r.db, Sessions: r.sessions})
	must(err)
	run(t, r.agent.Run)
	run(t, r.parties.Run)
	t.Cleanup(func() {
		if err := r.sessions.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func run(t *testing.T, engine func(context.Context) error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1) // sent to once
	go func() { ended <- engine(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// outcome calls a number and gives up as soon as it rings: 180, or the refusal.
func (r *rig) outcome(t *testing.T, user, password string) int {
	t.Helper()
	events := make(chan sip.Event, 16)
	d, err := r.parties.Invite(sip.InviteOptions{
		To: "sip:" + user + "@" + r.agent.Addr().String(), From: "4711", SDP: []byte(siptest.SDP), Username: "alice", Password: password,
	}, func(e sip.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	code := 0
	for {
		switch e := testkit.Receive(t, 10*time.Second, events).(type) {
		case sip.Ringing:
			code = e.Code
			if err := d.Hangup(16); err != nil {
				t.Error(err)
			}
		case sip.Ended:
			if code == 0 {
				code = e.Code
			}
			testkit.Eventually(t, 10*time.Second, func() bool { return len(r.sessions.Counts()) == 0 })
			return code
		}
	}
}

func TestInvite(t *testing.T) {
	id := voice.ChannelID(store.NewID())
	r := newRig(t,
		voice.Channel{ID: id, Number: "+3512000"},
		voice.Channel{ID: voice.ChannelID(store.NewID()), Number: "2001", Inbound: voice.Inbound{Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
		voice.Channel{ID: voice.ChannelID(store.NewID()), Number: "2002", Inbound: voice.Inbound{Username: "alice", Password: "secret"}},
	)
	for _, tt := range []struct {
		name, user, password string
		want                 int
	}{
		{"number", "+3512000", "", 180},
		{"number without plus", "3512000", "", 180},
		{"channel id", string(id), "", 180},
		{"no channel", "9999", "", 404},
		{"another network", "2001", "", 403},
		{"digest", "2002", "secret", 180},
		{"digest, wrong password", "2002", "wrong", 401},
		{"digest, no credentials", "2002", "", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.outcome(t, tt.user, tt.password); got != tt.want {
				t.Errorf("a call of %s gives %d, want %d", tt.user, got, tt.want)
			}
		})
	}
}

// A full server, one that drains and one without its database turn calls away;
// none of them leaves a caller without an answer.
func TestInviteWithoutRoom(t *testing.T) {
	r := newRig(t, voice.Channel{ID: voice.ChannelID(store.NewID()), Number: "2000"})
	events := make(chan sip.Event, 16)
	first, err := r.parties.Invite(sip.InviteOptions{
		To: "sip:2000@" + r.agent.Addr().String(), From: "4711", SDP: []byte(siptest.SDP),
	}, func(e sip.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	if _, ringing := testkit.Receive(t, 10*time.Second, events).(sip.Ringing); !ringing {
		t.Fatal("the first call does not ring")
	}
	second := make(chan sip.Event, 16)
	if _, err := r.parties.Invite(sip.InviteOptions{
		To: "sip:2000@" + r.agent.Addr().String(), From: "4712", SDP: []byte(siptest.SDP),
	}, func(e sip.Event) { second <- e }); err != nil {
		t.Fatal(err)
	}
	if e, ended := testkit.Receive(t, 10*time.Second, second).(sip.Ended); !ended || e.Code != 503 {
		t.Errorf("a call beyond the limit: %+v", e)
	}
	if err := first.Hangup(16); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, 10*time.Second, func() bool { return len(r.sessions.Counts()) == 0 })
	if err := r.sessions.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.outcome(t, "2000", ""); got != 503 {
		t.Errorf("a call while draining gives %d, want 503", got)
	}
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.outcome(t, "2000", ""); got != 503 {
		t.Errorf("a call without a database gives %d, want 503", got)
	}
}
