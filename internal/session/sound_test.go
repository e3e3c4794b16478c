package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// sweep is a second of a tone that rises, unlike any other of another number.
func sweep(number int, length time.Duration) *audio.Clip {
	c := audio.Silence(8000, length)
	from, rise := 300+float64(number)*170, 200+float64(number)*90
	for i := range c.Samples {
		t := float64(i) / 8000
		c.Samples[i] = int16(9000 * math.Sin(2*math.Pi*(from+rise*t/2)*t))
	}
	return c
}

// sounds are the prompts of a test: "1" to "9" are files of a second, "long" one
// of a minute, "slow" comes when it is let go or nobody wants it any more, "bad" is
// no audio. A text is spoken as the file of that name.
type sounds struct {
	slow  chan struct{} // closed by the test
	asked chan string   // sent to for each file that is asked for
	gone  chan error    // sent to when nobody wants the slow file any more
	clips map[string]*audio.Clip
}

func newSounds() *sounds {
	s := &sounds{slow: make(chan struct{}), asked: make(chan string, 256), gone: make(chan error, 16), clips: map[string]*audio.Clip{}}
	for i := 1; i <= 9; i++ {
		s.clips[fmt.Sprint(i)] = sweep(i, time.Second)
	}
	s.clips["long"] = sweep(0, time.Minute)
	s.clips["slow"] = s.clips["1"]
	return s
}

func (s *sounds) Media(ctx context.Context, _ voice.WorkspaceID, name string, done func(*audio.Clip, error)) {
	s.asked <- name
	go func() {
		if name == "slow" {
			select {
			case <-s.slow:
			case <-ctx.Done():
				s.gone <- ctx.Err()
				done(nil, ctx.Err())
				return
			}
		}
		clip := s.clips[name]
		if clip == nil {
			done(nil, fmt.Errorf("%s is no audio", name))
			return
		}
		done(clip, nil)
	}()
}

func (s *sounds) Say(ctx context.Context, c voice.Say, done func(*audio.Clip, error)) {
	s.Media(ctx, "", c.Text, done)
}

func (s *sounds) CanSay(c voice.Say) error {
	if c.Locale == "cy-GB" {
		return voice.Invalid(map[string][]string{"locale": {"is not served: there are en-US"}})
	}
	return nil
}

// phone is a party that hears and keeps what the server sends.
type phone struct {
	*party
	conn   *net.UDPConn
	stream sdp.Negotiated // of an answered call
	seq    uint16
	time   uint32
	mu     sync.Mutex
	pcm    []int16  // guarded by mu
	other  [][]byte // packets of other formats; guarded by mu
}

// phone calls the server, with PCMU and these codecs beside it.
func (r *rig) phone(beside ...string) *phone {
	r.t.Helper()
	p := r.newPhone()
	p.party = r.callWith(p.describe(r.t, beside), nil)
	return p
}

// calledPhone waits for a call that the server makes to a phone.
func (r *rig) calledPhone() *phone {
	r.t.Helper()
	p := r.newPhone()
	p.party = r.called()
	p.desc = p.describe(r.t, []string{codec.Event})
	return p
}

// newPhone is one that has no call yet.
func (r *rig) newPhone() *phone {
	r.t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &phone{conn: conn}
	ended := make(chan struct{}) // closed by the reader
	go func() { defer close(ended); p.read() }()
	r.t.Cleanup(func() { errorless(r.t, conn.Close()); <-ended })
	return p
}

func (p *phone) describe(t *testing.T, beside []string) *sdp.Negotiator {
	t.Helper()
	var codecs []codec.Info
	for _, name := range append([]string{codec.PCMU}, beside...) {
		info, ok := codec.Lookup(name, 8000)
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		codecs = append(codecs, info)
	}
	return sdp.New(sdp.Options{Addr: p.conn.LocalAddr().(*net.UDPAddr).AddrPort(), Codecs: codecs})
}

func (p *phone) read() {
	packet := make([]byte, 2048)
	for {
		n, err := p.conn.Read(packet)
		if err != nil {
			return
		}
		if n <= 12 {
			continue
		}
		if packet[1]&0x7f != 0 {
			p.mu.Lock()
			p.other = append(p.other, append([]byte(nil), packet[:n]...))
			p.mu.Unlock()
			continue
		}
		pcm := make([]int16, n-12)
		g711.DecodeMu(pcm, packet[12:n])
		p.mu.Lock()
		p.pcm = append(p.pcm, pcm...)
		p.mu.Unlock()
	}
}

// heard is what the party heard so far.
func (p *phone) heard() []int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int16(nil), p.pcm...)
}

// hears reports whether all of the clip is in what the party heard, and where.
func (p *phone) hears(c *audio.Clip) (at int, whole bool) {
	pcm := p.heard()
	if len(pcm) < len(c.Samples) {
		return 0, false
	}
	at = compare.Align(c.Samples, pcm).Samples()
	if at < 0 || at+len(c.Samples) > len(pcm) {
		return at, false
	}
	return at, audio.Correlation(c.Samples, pcm[at:at+len(c.Samples)]) > 0.98
}

// upPhone makes an answered incoming call of a phone.
func (r *rig) upPhone() (*phone, voice.Call) {
	r.t.Helper()
	p := r.phone(codec.Event)
	c := r.live(voice.Incoming, voice.CallRinging)
	if _, err := r.Do(r.t.Context(), c.ID, &voice.Answer{}); err != nil {
		r.t.Fatal(err)
	}
	r.answered(p)
	return p, c
}

// answered waits for the answer of a phone's call.
func (r *rig) answered(p *phone) {
	r.t.Helper()
	var err error
	if p.stream, err = p.desc.Accept(await[sip.Answered](r, p.party).SDP); err != nil {
		r.t.Fatal(err)
	}
}

// send sends a packet of the party's.
func (p *phone) send(t *testing.T, pt uint8, mark bool, payload []byte) {
	t.Helper()
	if mark {
		pt |= 0x80
	}
	packet := binary.BigEndian.AppendUint16([]byte{0x80, pt}, p.seq)
	packet = binary.BigEndian.AppendUint32(packet, p.time)
	packet = binary.BigEndian.AppendUint32(packet, 4711)
	p.seq++
	if _, err := p.conn.WriteToUDPAddrPort(append(packet, payload...), p.stream.Remote); err != nil {
		t.Error(err)
	}
}

// press presses keys as RFC 4733 §2.5 says, with the last packet sent three times.
func (p *phone) press(t *testing.T, keys string) {
	t.Helper()
	for _, key := range keys {
		event := byte(strings.IndexRune("0123456789*#", key))
		for i, end := range []byte{0, 0, 0x80, 0x80, 0x80} {
			p.send(t, p.stream.Event.PT, i == 0, []byte{event, end | 10, 0, byte(80 + 40*min(i, 2))})
		}
		p.time += 1600
	}
}

// talk sends the samples as fast as they are spoken.
func (p *phone) talk(t *testing.T, pcm []int16) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for payload := make([]byte, 160); len(pcm) >= len(payload); pcm = pcm[len(payload):] {
		g711.EncodeMu(payload, pcm[:len(payload)])
		p.send(t, 0, false, payload)
		p.time += 160
		<-tick.C
	}
}

// do gives a command and returns it.
func (r *rig) do(id voice.CallID, c voice.Command) voice.CommandResult {
	r.t.Helper()
	result, err := r.Do(r.t.Context(), id, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// becomes waits until a command of the call has this status, and returns it.
func (r *rig) becomes(call voice.CallID, id voice.CommandID, status voice.CommandStatus) (found voice.CommandResult) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		c, live := r.Call(call)
		if !live {
			c = r.stored(call)
		}
		for _, command := range c.Commands {
			if command.ID == id {
				found = command
			}
		}
		if found.Status.Terminal() && found.Status != status {
			r.t.Fatalf("the command %s is %s (%s), want %s", found.Kind, found.Status, found.Reason, status)
		}
		return found.Status == status
	})
	return found
}

// why checks the end of a command of the call.
func (r *rig) why(call voice.CallID, id voice.CommandID, status voice.CommandStatus, reason string) voice.CommandResult {
	r.t.Helper()
	c := r.becomes(call, id, status)
	if !strings.Contains(c.Reason, reason) || (reason == "") != (c.Reason == "") {
		r.t.Errorf("the command %s is %s, because %q, want %q", c.Kind, c.Status, c.Reason, reason)
	}
	if c.EndedAt.IsZero() || c.StartedAt.IsZero() != (status == voice.CommandSkipped) || c.EndedAt.Before(c.StartedAt) {
		r.t.Errorf("the command %s began at %v and ended at %v", c.Kind, c.StartedAt, c.EndedAt)
	}
	return c
}

// The party hears each file whole, in order, as often as it is asked for, with the
// gap between any two of them; and a spoken text.
func TestPartyHearsPrompts(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	played := r.do(c.ID, &voice.Playback{Media: []string{"1", "2"}, Loop: 2, Gap: 200})
	said := r.do(c.ID, &voice.Say{Text: "3"})
	if r.why(c.ID, played.ID, voice.CommandCompleted, ""); played.Status != voice.CommandAccepted || played.Flow != "" {
		t.Errorf("the command was accepted as %+v", played)
	}
	r.why(c.ID, said.ID, voice.CommandCompleted, "")
	testkit.Eventually(t, patience, func() bool { _, whole := p.hears(r.sounds.clips["3"]); return whole })
	gap := audio.Silence(8000, 200*time.Millisecond).Samples
	var all []int16
	for i, name := range []string{"1", "2", "1", "2"} {
		if i > 0 {
			all = append(all, gap...)
		}
		all = append(all, r.sounds.clips[name].Samples...)
	}
	if at, whole := p.hears(&audio.Clip{Rate: 8000, Samples: all}); !whole {
		t.Errorf("the files are not in what was heard, best at %d of %d", at, len(p.heard()))
	}
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// One command at a time makes a sound; a single one comes before the flow's next
// step. What fails says why, and the flow goes on.
func TestCommandsTakeTurns(t *testing.T) {
	r := newRig(t, func(c *voice.Channel) {
		c.Inbound.Flow = []voice.FlowCommand{
			{Command: &voice.Playback{Media: []string{"slow"}}}, // answers the call
			{Command: &voice.Playback{Media: []string{"1", "bad"}}},
			{Command: &voice.Say{Text: "1", Locale: "cy-GB"}},
			{Command: &voice.Say{Text: "2"}, Conditions: []voice.Condition{{Variable: voice.VariableKeys, Operator: voice.OperatorEq, Value: "2"}}},
			{Command: &voice.Pause{Length: 3600}},
		}
	})
	p := r.call(nil)
	c := r.live(voice.Incoming, voice.CallOngoing)
	if name := testkit.Receive(t, patience, r.sounds.asked); name != "slow" {
		t.Fatalf("asked for %s first", name)
	}
	single := r.do(c.ID, &voice.Playback{Media: []string{"3"}})
	close(r.sounds.slow)
	r.becomes(c.ID, single.ID, voice.CommandCompleted)
	if name := testkit.Receive(t, patience, r.sounds.asked); name != "3" {
		t.Errorf("the single command did not come before the flow's next step, but %s", name)
	}
	c, _ = r.Call(c.ID)
	flow := c.Commands[:5]
	r.why(c.ID, flow[0].ID, voice.CommandCompleted, "")
	r.why(c.ID, flow[1].ID, voice.CommandFailed, "bad is no audio")
	r.why(c.ID, flow[2].ID, voice.CommandFailed, "locale is not served: there are en-US")
	r.why(c.ID, flow[3].ID, voice.CommandSkipped, `the condition keys eq "2" does not hold`)
	r.becomes(c.ID, flow[4].ID, voice.CommandOngoing)
	_, err := r.Do(t.Context(), c.ID, &voice.Say{Text: "1", Locale: "cy-GB"})
	as(t, err, voice.CodeValidationFailed)
	for range maxWaiting {
		r.do(c.ID, &voice.Say{Text: "1"})
	}
	_, err = r.Do(t.Context(), c.ID, &voice.Say{Text: "1"})
	as(t, err, voice.CodeCallNotInState)
	errorless(t, p.Hangup(16))
	stored := r.stored(c.ID)
	r.why(c.ID, flow[4].ID, voice.CommandFailed, ended)
	for _, waited := range stored.Commands[6:] {
		r.why(c.ID, waited.ID, voice.CommandSkipped, ended)
	}
}

// Another flow in the middle of a prompt: the prompt is silent at once, what was
// left is skipped, and what is still being loaded is wanted no more.
func TestReplacedInThePrompt(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	flow := func(steps ...voice.Command) []voice.CommandResult {
		t.Helper()
		var f []voice.FlowCommand
		for _, s := range steps {
			f = append(f, voice.FlowCommand{Command: s})
		}
		before, _ := r.Call(c.ID)
		got, err := r.ReplaceFlow(t.Context(), c.ID, f)
		if err != nil {
			t.Fatal(err)
		}
		return got.Commands[len(before.Commands):]
	}
	first := flow(&voice.Playback{Media: []string{"long"}}, &voice.Say{Text: "1"})
	testkit.Eventually(t, patience, func() bool {
		pcm := p.heard()
		return len(pcm) > 4000 && audio.Measure(pcm[len(pcm)-160:]).Peak > -20
	})
	waits := r.do(c.ID, &voice.Say{Text: "2"})
	second := flow(&voice.Playback{Media: []string{"slow", "1"}}, &voice.Say{Text: "1"})
	r.why(c.ID, first[0].ID, voice.CommandFailed, replaced)
	r.why(c.ID, first[1].ID, voice.CommandSkipped, replaced)
	r.why(c.ID, waits.ID, voice.CommandSkipped, replaced)
	r.becomes(c.ID, second[0].ID, voice.CommandOngoing)
	third := flow(&voice.Say{Text: "4"})
	r.why(c.ID, second[0].ID, voice.CommandFailed, replaced)
	r.why(c.ID, second[1].ID, voice.CommandSkipped, replaced)
	if err := testkit.Receive(t, patience, r.sounds.gone); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r.why(c.ID, third[0].ID, voice.CommandCompleted, "")
	testkit.Eventually(t, patience, func() bool { _, whole := p.hears(r.sounds.clips["4"]); return whole })
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// A prompt is cut off at its timeout, and by the end of the call; what was asked
// for in vain is let go.
func TestPromptIsCut(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	timed := r.do(c.ID, &voice.Playback{Media: []string{"long"}, Timeout: 1})
	r.why(c.ID, timed.ID, voice.CommandCompleted, "cut off after 1 s")
	long := r.do(c.ID, &voice.Playback{Media: []string{"long"}, Loop: 100})
	r.becomes(c.ID, long.ID, voice.CommandOngoing)
	waits := r.do(c.ID, &voice.Playback{Media: []string{"slow"}})
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
	r.why(c.ID, long.ID, voice.CommandFailed, ended)
	r.why(c.ID, waits.ID, voice.CommandSkipped, ended)
}

// While a call is connected, its parties hear each other and nothing else: what
// plays when the far party answers is cut, and what comes later is refused.
func TestNothingIsHeardInABridge(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	long := r.do(c.ID, &voice.Playback{Media: []string{"long"}})
	waits := r.do(c.ID, &voice.Say{Text: "1"})
	if _, _, err := r.Bridge(t.Context(), c.ID, r.far("far")); err != nil {
		t.Fatal(err)
	}
	far := r.called()
	r.becomes(c.ID, long.ID, voice.CommandOngoing)
	r.answerCall(far)
	r.why(c.ID, long.ID, voice.CommandFailed, "the call was bridged")
	r.why(c.ID, waits.ID, voice.CommandFailed, "the call is bridged")
	_, err := r.Do(t.Context(), c.ID, &voice.Say{Text: "1"})
	as(t, err, voice.CodeCallNotInState)
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// A call that was not answered hears nothing by a single command.
func TestNothingIsHeardBeforeTheAnswer(t *testing.T) {
	r := newRig(t, nil)
	p := r.call(nil)
	c := r.live(voice.Incoming, voice.CallRinging)
	for _, command := range []voice.Command{&voice.Playback{Media: []string{"1"}}, &voice.Say{Text: "1"}} {
		_, err := r.Do(t.Context(), c.ID, command)
		as(t, err, voice.CodeCallNotInState)
	}
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// A fault in the middle of a prompt leaves nothing behind.
func TestAFaultInThePrompt(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	slow := r.do(c.ID, &voice.Playback{Media: []string{"slow"}})
	r.becomes(c.ID, slow.ID, voice.CommandOngoing)
	r.within(c.ID, func(s *session, _ *leg) { s.inbox.put(func() { panic("a fault of ours") }) })
	testkit.Receive(t, patience, r.sounds.gone)
	await[sip.Ended](r, p.party)
	r.stored(c.ID)
	r.why(c.ID, slow.ID, voice.CommandFailed, ended)
}

// Without engines the commands say so, and nothing else breaks.
func TestNoEngines(t *testing.T) {
	r := newRig(t, nil)
	r.o.Sounds, r.o.Ears = nil, nil
	p, c := r.up()
	for command, code := range map[voice.Command]voice.Code{
		&voice.Playback{Media: []string{"1"}}:     voice.CodeUnavailable,
		&voice.Say{Text: "1"}:                     voice.CodeSpeechUnavailable,
		&voice.Gather{Say: &voice.Say{Text: "1"}}: voice.CodeSpeechUnavailable,
		&voice.Gather{Input: voice.GatherSpeech}:  voice.CodeSpeechUnavailable,
	} {
		_, err := r.Do(t.Context(), c.ID, command)
		as(t, err, code)
	}
	got, err := r.ReplaceFlow(t.Context(), c.ID, []voice.FlowCommand{{Command: &voice.Say{Text: "1"}}, {Command: &voice.Hangup{}}})
	if err != nil {
		t.Fatal(err)
	}
	await[sip.Ended](r, p)
	r.stored(c.ID)
	r.why(c.ID, got.Commands[len(got.Commands)-2].ID, voice.CommandFailed, "The server has no engine that speaks")
	r.why(c.ID, got.Commands[len(got.Commands)-1].ID, voice.CommandCompleted, "")
}
