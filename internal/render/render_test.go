package render

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

var update = flag.Bool("update", false, "write golden files anew")

// conversation is a call of A, with B joined after a second.
func conversation(length time.Duration) *scene {
	begin := 100 * ms
	return newScene().
		track(10*ms, 0, "A", "+351", "caller").
		begin(begin).
		track(500*ms, 1, "B", "sip:b@example.com", "callee").
		join(begin+time.Second, "A", "B").
		speak(party{id: 1, track: 0, from: 0, to: begin + length + time.Second}).
		speak(party{id: 2, track: 1, from: 700 * ms, to: begin + length + time.Second}).
		stop(begin+length, voice.EndCallEnded)
}

// exact compares a stretch of a side with what a party said, sample by sample.
func exact(t *testing.T, name string, side []int16, party uint64, from, to, begin int64) {
	t.Helper()
	if want := heard(party, from+begin, to-from); !slices.Equal(side[from:to], want) {
		late, fit := find(side, party, from, from+begin, 400)
		t.Errorf("%s: samples %d to %d are not what party %d said (late by %d, fit %.4f)", name, from, to, party, late, fit)
	}
}

func TestStereo(t *testing.T) {
	r := render(t, conversation(10*time.Second).write(t), Layout{Stereo: true, Software: "tapedeck test"})
	const begin, length = 800, 80000
	if len(r.sides) != 2 || len(r.sides[0]) != length || len(r.sides[1]) != length {
		t.Fatalf("%d sides of %d samples", len(r.sides), len(r.sides[0]))
	}
	exact(t, "left", r.sides[0], 1, 0, length, begin)
	// B's first packet after the join is heard whole: its sound is up to 20 ms older.
	exact(t, "right", r.sides[1], 2, 8000, length, begin)
	if !silent(r.sides[1][:8000-160]) {
		t.Error("B is heard before the bridge")
	}
	rc := r.receipt
	if rc.Samples != length || rc.DurationMs != 10000 || rc.Channels != 2 || rc.EndCause != voice.EndCallEnded || !rc.Complete {
		t.Errorf("receipt %+v", rc)
	}
	if !rc.Start.Equal(time.Date(2026, 11, 22, 8, 0, 0, int(100*ms), time.UTC)) || rc.End.Sub(rc.Start) != 10*time.Second {
		t.Errorf("from %s to %s", rc.Start, rc.End)
	}
	a, b := rc.Tracks[0], rc.Tracks[1]
	if a.Lost != 0 || a.Received != 501 || a.NoMedia || len(a.Silence) != 0 || a.AudioMs != 10000 {
		t.Errorf("A: %+v", a)
	}
	if len(b.Silence) != 1 || b.Silence[0].Reason != SilenceNotBridged || b.Side != 1 || b.SilenceMs+b.AudioMs != 10000 {
		t.Errorf("B: %+v", b)
	}
	want := []voice.RecordingChannel{
		{Channel: 0, Party: "+351", Call: "A", Role: voice.RoleCaller},
		{Channel: 1, Party: "sip:b@example.com", Call: "B", Role: voice.RoleCallee},
	}
	if !slices.Equal(rc.Parties, want) {
		t.Errorf("parties %+v", rc.Parties)
	}
}

func TestMonoIsBothMixed(t *testing.T) {
	s := conversation(5 * time.Second)
	stereo := render(t, s.write(t), Layout{Stereo: true})
	mono := render(t, s.write(t), Layout{})
	if len(mono.sides) != 1 || len(mono.sides[0]) != 40000 {
		t.Fatalf("%d sides", len(mono.sides))
	}
	for i, v := range mono.sides[0] {
		if want := int32(stereo.sides[0][i]) + int32(stereo.sides[1][i]); int32(v) != min(max(want, -32768), 32767) {
			t.Fatalf("sample %d is %d, the sides make %d", i, v, want)
		}
	}
	if mono.receipt.Tracks[1].Side != 0 || mono.receipt.Parties[1].Channel != 0 {
		t.Errorf("%+v", mono.receipt.Parties)
	}
}

func TestRenderingIsRepeatable(t *testing.T) {
	path := conversation(3 * time.Second).write(t)
	a, b := render(t, path, Layout{Stereo: true}), render(t, path, Layout{Stereo: true})
	if a.receipt.File != b.receipt.File || a.receipt.Journal != b.receipt.Journal || !slices.Equal(a.raw, b.raw) {
		t.Error("two renderings of one journal differ")
	}
}

// The heart of it: whatever the network does, the file is as long as the time
// was, and every marker is at its place.
func TestMarkersStayInPlace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(id uint64, track uint16, from, to time.Duration) party {
			return party{
				id: id, track: track, from: from, to: to,
				jitter: time.Duration(rapid.IntRange(0, 200).Draw(rt, "jitter ms")) * ms,
				loss:   rapid.Float64Range(0, 0.3).Draw(rt, "loss"),
				dup:    rapid.Float64Range(0, 0.1).Draw(rt, "dup"),
				seed:   rapid.Uint64().Draw(rt, "seed"),
				ppm:    float64(rapid.IntRange(-300, 300).Draw(rt, "ppm")),
				ptime:  time.Duration(rapid.SampledFrom([]int{10, 20, 30, 60}).Draw(rt, "ptime ms")) * ms,
			}
		}
		length := time.Duration(rapid.IntRange(6, 10).Draw(rt, "seconds")) * time.Second
		a := draw(1, 0, 0, length+time.Second)
		b := draw(2, 1, 0, length+time.Second)
		s := newScene().track(0, 0, "A", "a", "caller").track(0, 1, "B", "b", "callee").
			begin(0).join(0, "A", "B").speak(a).speak(b).stop(length, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{Stereo: true})
		if got, want := int64(len(r.sides[0])), samples(length, rate); got != want {
			rt.Fatalf("%d samples, %d of wall time", got, want)
		}
		marks := [2]int{}
		for at := int64(8000); at+8000 < int64(len(r.sides[0])); at += 4000 {
			for side, p := range []party{a, b} {
				if marks[side] >= 4 {
					continue
				}
				clock := 1 + p.ppm/1e6
				off, fit := find(r.sides[side], p.id, at, int64(float64(at)*clock), 400)
				if fit > 0.9 { // what was made up for lost packets is like what was said, and elsewhere
					marks[side]++
					if off > 160 || off < -160 {
						rt.Fatalf("side %d: at sample %d the sound is %d samples late (fit %.2f)", side, at, off, fit)
					}
				}
			}
		}
		// Where much is lost few stretches are whole, and whether there is one is luck:
		// TestImpairments looks for marks that are short enough.
		if min(a.loss, b.loss) < 0.1 && marks[0]+marks[1] < 3 {
			rt.Fatalf("only %v markers were found", marks)
		}
	})
}

func TestChannelsOfPartiesThatStartTogether(t *testing.T) {
	for seed := range uint64(20) {
		a := party{id: 1, track: 0, to: 20 * time.Second, jitter: 40 * ms, loss: 0.05, seed: seed}
		b := party{id: 2, track: 1, to: 20 * time.Second, jitter: 15 * ms, ptime: 30 * ms, seed: seed + 100}
		s := newScene().track(0, 0, "A", "a", "caller").track(0, 1, "B", "b", "callee").
			begin(0).join(0, "A", "B").speak(a).speak(b).stop(19*time.Second, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{Stereo: true})
		left, fitA, at := 0, 0.0, int64(80000)
		for ; fitA < 0.9 && at < 100000; at += 400 { // where nothing was lost
			left, fitA = find(r.sides[0], 1, at, at, 40)
		}
		right, fitB := find(r.sides[1], 2, 80000, 80000, 40)
		if d := left - right; d < -8 || d > 8 || fitA < 0.9 || fitB < 0.99 {
			t.Errorf("seed %d: %d samples apart (%d, %d; fit %.2f, %.2f)", seed, d, left, right, fitA, fitB)
		}
	}
}

func TestTheLastWordIsIn(t *testing.T) {
	// The last packet arrives a moment before the stop.
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).
		speak(party{id: 1, to: 3 * time.Second}).stop(3*time.Second+ms, voice.EndCallEnded)
	r := render(t, s.write(t), Layout{})
	exact(t, "all", r.sides[0], 1, 0, 24000, 0)
}

func TestSilenceIsAsLongAsItWas(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).
		speak(party{id: 1, to: 2 * time.Second})
	hour := 15 * time.Minute
	if testing.Short() {
		hour = 4 * time.Minute
	}
	// The second part is of the same stream: RTP time went on in the hold.
	before := len(s.events)
	s.speak(party{id: 1, from: hour, to: hour + 2*time.Second})
	for i := range s.events[before:] {
		s.events[before+i].entry.Packet.Seq += 100
	}
	r := render(t, s.stop(hour+2*time.Second, voice.EndCallEnded).write(t), Layout{})
	begin := samples(hour, rate)
	exact(t, "before", r.sides[0], 1, 0, 16000, 0)
	exact(t, "after", r.sides[0], 1, begin, begin+16000, 0)
	if !silent(r.sides[0][16000:begin]) {
		t.Error("the hold is not silent")
	}
	if sp := r.receipt.Tracks[0].Silence; len(sp) != 1 || sp[0] != (SilenceSpan{Start: 16000, Length: begin - 16000, Reason: SilenceNoPackets}) {
		t.Errorf("silence %+v", sp)
	}
}

func TestUnknownCodecIsSilenceWithAReason(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0)
	s.add(time.Second, journal.Entry{Kind: journal.KindTrackChanged, Track: 0, Detail: journal.Detail{
		Codecs: []journal.Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}, {PT: 98, Name: "speex", ClockRate: 8000}},
	}})
	s.speak(party{id: 1, to: 2 * time.Second})
	n := len(s.events)
	s.speak(party{id: 1, from: 2 * time.Second, to: 3 * time.Second, payload: func([]int16) (uint8, []byte) { return 98, []byte{1, 2, 3} }})
	s.speak(party{id: 1, from: 3 * time.Second, to: 4 * time.Second, payload: func([]int16) (uint8, []byte) { return 77, []byte{1, 2, 3} }})
	for i := range s.events[n:] {
		s.events[n+i].entry.Packet.Seq += uint16(100 + i/50*50)
	}
	for i := range 3 { // comfort noise
		s.add(3500*ms+time.Duration(i)*ms, journal.Entry{Kind: journal.KindPacket, Packet: journal.Packet{
			Seq: uint16(65200 + i), SSRC: 101, PT: 13, Payload: []byte{60},
		}})
	}
	r := render(t, s.stop(4*time.Second, voice.EndCallEnded).write(t), Layout{})
	exact(t, "speech", r.sides[0], 1, 0, 16000, 0)
	a := r.receipt.Tracks[0]
	if a.Other != 3 || a.Lost != 0 {
		t.Errorf("%d digits, %d lost", a.Other, a.Lost)
	}
	want := []SilenceSpan{{16000, 8000, SilenceUndecodable}, {24000, 4000, SilenceNoPackets}, {28000, 4000, SilenceComfortNoise}}
	if !slices.Equal(a.Silence, want) || a.Undecodable != 100 || len(a.Codecs) != 2 || a.Codecs[1].Name != "speex" {
		t.Errorf("%+v", a)
	}
}

func TestListsAreBounded(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).speak(party{id: 1, to: 200 * time.Second, loss: 0.7, seed: 4})
	for i := range maxListed + 10 {
		at := 10*time.Second + time.Duration(i)*40*ms
		s.pause(at, at+ms, voice.PauseSilence)
		s.add(at, journal.Entry{Kind: journal.KindGap, Detail: journal.Detail{From: at, Lost: 1}})
	}
	rc := render(t, s.stop(200*time.Second, voice.EndCallEnded).write(t), Layout{}).receipt
	a := rc.Tracks[0]
	if len(a.Silence) != maxListed || a.MoreSilence == 0 || len(rc.Pauses) != maxListed || rc.MorePauses != 10 || rc.MoreGaps != 10 {
		t.Errorf("%d silences and %d more, %d pauses and %d more", len(a.Silence), a.MoreSilence, len(rc.Pauses), rc.MorePauses)
	}
	if b, err := json.Marshal(rc); err != nil || len(b) > 200<<10 {
		t.Errorf("%d bytes of receipt, %v", len(b), err)
	}
}

func TestContextAndProgress(t *testing.T) {
	path := conversation(60 * time.Second).write(t)
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var last, calls int64
	plan, err := Make(j, Layout{Progress: func(done, total int64) {
		if done < last || total != 480000 {
			t.Errorf("progress %d of %d", done, total)
		}
		last = done
		calls++
	}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := plan.Write(t.Context(), f); err != nil || last != 480000 || calls < 3 {
		t.Errorf("%v; %d calls to %d", err, calls, last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	last = 0
	if _, err := plan.Write(ctx, f); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCheckBelievesBytesOnly(t *testing.T) {
	r := render(t, conversation(2*time.Second).write(t), Layout{Stereo: true})
	path := filepath.Join(t.TempDir(), "a.wav")
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range map[string][]byte{
		"cut":     r.raw[:len(r.raw)-2],
		"longer":  append(slices.Clone(r.raw), 0),
		"changed": func() []byte { b := slices.Clone(r.raw); b[1000] ^= 1; return b }(),
		"no WAV":  []byte("text"),
		"empty":   nil,
	} {
		if write(b); !errors.Is(Check(path, r.receipt), ErrMismatch) {
			t.Errorf("%s: %v", name, Check(path, r.receipt))
		}
	}
	write(r.raw)
	if err := Check(path, r.receipt); err != nil {
		t.Error(err)
	}
	other := r.receipt
	other.Samples--
	if !errors.Is(Check(path, other), ErrMismatch) {
		t.Error("a receipt of another length was believed")
	}
	other = r.receipt
	other.SampleRate = 16000
	if !errors.Is(Check(path, other), ErrMismatch) {
		t.Error("a receipt of another rate was believed")
	}
	if err := Check(path+"x", r.receipt); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// The plan of a journal that is kept in the repository, and the audio made of
// it, must not change unnoticed. Run with -update after a change that is meant.
func TestGolden(t *testing.T) {
	const path, golden = "testdata/conversation.journal", "testdata/conversation.json"
	if _, err := os.Stat(path); *update && errors.Is(err, os.ErrNotExist) {
		s := conversation(4*time.Second).pause(2100*ms, 2600*ms, voice.PauseSkip).pause(3100*ms, 3400*ms, voice.PauseSilence)
		s.add(50*ms, journal.Entry{Kind: journal.KindHeld, Detail: journal.Detail{Call: "B", Held: true}})
		s.speak(party{id: 3, track: 1, from: 3500 * ms, to: 4100 * ms, jitter: 60 * ms, loss: 0.2, dup: 0.2, seed: 1})
		b, err := os.ReadFile(s.write(t))
		if err = errors.Join(err, os.MkdirAll("testdata", 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Plan    *Plan
		Receipt Receipt
	}
	r := render(t, path, Layout{Stereo: true, MaxLength: time.Minute, Software: "golden"})
	got.Plan, got.Receipt = r.plan, r.receipt
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text) {
		t.Errorf("the plan or the file changed; now it is\n%s", text)
	}
}
