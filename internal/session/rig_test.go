package session

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const patience = 10 * time.Second

// rig is a Manager with real engines on the loopback interface, and a SIP agent
// that plays all the parties.
type rig struct {
	*Manager
	t       *testing.T
	channel voice.Channel
	agent   *sip.Agent       // the server's
	parties *sip.Agent       // everybody else's
	invited chan *sip.Dialog // sent to by the parties' agent for each INVITE that it gets
	records *recorder.Recorder
	runRec  context.CancelFunc
}

// newRig starts everything. change may be nil.
func newRig(t *testing.T, change func(*voice.Channel)) *rig {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := &rig{t: t, invited: make(chan *sip.Dialog, 64)}
	r.channel = voice.Channel{ID: voice.ChannelID(store.NewID()), Workspace: voice.WorkspaceID(store.NewID()), Number: "1000"}
	if change != nil {
		change(&r.channel)
	}
	epoch := time.Now()
	now := func() time.Duration { return time.Since(epoch) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(dir, "test.db")})
	must(err)
	t.Cleanup(func() { errorless(t, db.Close()) })
	must(db.Update(t.Context(), func(tx *store.Tx) error {
		err := tx.InsertWorkspace(voice.Workspace{ID: r.channel.Workspace, Name: "w", CreatedAt: epoch, UpdatedAt: epoch})
		return errors.Join(err, tx.InsertChannel(r.channel))
	}))
	loopback := netip.MustParseAddr("127.0.0.1")
	engine, err := media.New(media.Options{BindIP: loopback, PublicIP: loopback, PortFrom: 33000, PortTo: 33399, Workers: 1, Now: now})
	must(err)
	run(t, engine.Run)
	r.records, err = recorder.New(recorder.Options{Dir: filepath.Join(dir, "journals"), Now: now})
	must(err)
	r.runRec = run(t, r.records.Run)
	r.agent, err = sip.New(sip.Options{Listen: "127.0.0.1:0", OnInvite: func(d *sip.Dialog) {
		if err := r.Incoming(d, r.channel); err != nil {
			t.Logf("incoming call: %v", err)
		}
	}})
	must(err)
	r.parties, err = sip.New(sip.Options{Listen: "127.0.0.1:0", OnInvite: func(d *sip.Dialog) { r.invited <- d }})
	must(err)
	r.Manager, err = New(Options{Agent: r.agent, Media: engine, Recorder: r.records, DB: db, Now: now})
	must(err)
	run(t, r.agent.Run)
	run(t, r.parties.Run)
	t.Cleanup(func() { errorless(t, r.Close()) })
	return r
}

// run runs an engine until the test ends, or until it is told.
func run(t *testing.T, engine func(context.Context) error) context.CancelFunc {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1) // sent to once
	go func() { ended <- engine(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return stop
}

func errorless(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// party is one side of a call that a test plays.
type party struct {
	*sip.Dialog
	events chan sip.Event
	desc   *sdp.Negotiator
}

func newDescription(t *testing.T) *sdp.Negotiator {
	t.Helper()
	pcmu, ok := codec.Lookup(codec.PCMU, 8000)
	if !ok {
		t.Fatal("there is no PCMU")
	}
	return sdp.New(sdp.Options{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Codecs: []codec.Info{pcmu}})
}

// call lets a party call the server.
func (r *rig) call(change func(*sip.InviteOptions)) *party {
	r.t.Helper()
	p := &party{events: make(chan sip.Event, 64), desc: newDescription(r.t)}
	offer, err := p.desc.Offer(sdp.SendRecv)
	if err != nil {
		r.t.Fatal(err)
	}
	o := sip.InviteOptions{To: "sip:1000@" + r.agent.Addr().String(), From: "4711", SDP: offer}
	if change != nil {
		change(&o)
	}
	if p.Dialog, err = r.parties.Invite(o, func(e sip.Event) { p.events <- e }); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// called waits for a call that the server makes.
func (r *rig) called() *party {
	r.t.Helper()
	p := &party{events: make(chan sip.Event, 64), desc: newDescription(r.t)}
	p.Dialog = testkit.Receive(r.t, patience, r.invited)
	p.Bind(func(e sip.Event) { p.events <- e })
	return p
}

// answerCall answers the server's INVITE.
func (r *rig) answerCall(p *party) {
	r.t.Helper()
	answer, _, err := p.desc.Answer(p.Request().SDP, sdp.SendRecv)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := p.Answer(answer); err != nil {
		r.t.Fatal(err)
	}
	await[sip.Confirmed](r, p)
}

// await waits for an event of a kind; others are passed over.
func await[E sip.Event](r *rig, p *party) E {
	r.t.Helper()
	for {
		if e, ok := testkit.Receive(r.t, patience, p.events).(E); ok {
			return e
		}
	}
}

// live waits for a live call in the status and returns it.
func (r *rig) live(d voice.Direction, status voice.CallStatus) (found voice.Call) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		r.mu.RLock()
		defer r.mu.RUnlock()
		for _, h := range r.calls {
			if c := h.call.Load(); c.Direction == d && c.Status == status {
				found = *c
				return true
			}
		}
		return false
	})
	return found
}

// stored waits until the store has the call's end, and returns it.
func (r *rig) stored(id voice.CallID) (c voice.Call) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		err := r.o.DB.View(r.t.Context(), func(tx *store.Tx) (err error) {
			c, err = tx.Call(r.channel.Workspace, r.channel.ID, id)
			return err
		})
		return err == nil && c.Status.Terminal()
	})
	return c
}

// storedRecording waits until the store has a recording in the status.
func (r *rig) storedRecording(id voice.RecordingID, status voice.RecordingStatus) (rec voice.Recording) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		err := r.o.DB.View(r.t.Context(), func(tx *store.Tx) (err error) {
			rec, err = tx.Recording(r.channel.Workspace, id)
			return err
		})
		return err == nil && rec.Status == status
	})
	return rec
}

// journal opens the journal of a recording that has ended, once all of it is on disk:
// the store hears of the end before.
func (r *rig) journal(id voice.RecordingID) (j *journal.Reader) {
	r.t.Helper()
	ended := func() bool {
		var err error
		if j, err = journal.Open(r.records.Path(id)); err != nil {
			r.t.Fatal(err)
		}
		var e journal.Entry
		for j.Next(&e) == nil {
			if e.Kind == journal.KindStop {
				return true
			}
		}
		errorless(r.t, j.Close())
		return false
	}
	testkit.Eventually(r.t, patience, ended)
	errorless(r.t, j.Close())
	j, err := journal.Open(r.records.Path(id))
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// up makes an answered incoming call.
func (r *rig) up() (*party, voice.Call) {
	r.t.Helper()
	p := r.call(nil)
	c := r.live(voice.Incoming, voice.CallRinging)
	if _, err := r.Do(r.t.Context(), c.ID, &voice.Answer{}); err != nil {
		r.t.Fatal(err)
	}
	await[sip.Answered](r, p)
	return p, c
}

// far is a bridge to a party that the rig plays.
func (r *rig) far(user string) *voice.Bridge {
	return &voice.Bridge{To: "sip:" + user + "@" + r.parties.Addr().String()}
}

// within runs f in the goroutine of the call's session and waits for it.
func (r *rig) within(id voice.CallID, f func(*session, *leg)) {
	r.t.Helper()
	_, err := ask(r.t.Context(), r.Manager, id, func(s *session, l *leg, reply func(struct{}, error)) {
		f(s, l)
		reply(struct{}{}, nil)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func as(t *testing.T, err error, code voice.Code) {
	t.Helper()
	if voice.CodeOf(err) != code {
		t.Errorf("error %v, want %s", err, code)
	}
}
