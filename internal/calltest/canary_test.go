package calltest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/journal"
	"tapedeck/internal/testkit"
)

// canaryDigits are pressed in pauses only; openDigits outside of them.
const (
	canaryDigits = "9D8C7B9A"
	openDigits   = "12#"
)

// canary is a sound that is known by its bytes: a frame of µ-law that repeats,
// so that every packet of it is the same, and no other.
type canary struct {
	payload []byte
	pcm     []int16
}

func newCanary(seed uint64) *canary {
	random := rand.New(rand.NewPCG(seed, 0))
	c := &canary{payload: make([]byte, 160), pcm: make([]int16, 160)}
	for i := range c.payload {
		c.payload[i] = byte(random.IntN(0x70)) | byte(random.IntN(2))<<7 // loud values, each with one code
	}
	g711.DecodeMu(c.pcm, c.payload)
	return c
}

// source says the canary without end.
func (c *canary) source(frame []int16) bool {
	for i := range frame {
		frame[i] = c.pcm[i%len(c.pcm)]
	}
	return true
}

// window is how many bytes in a row give a canary away.
const window = 12

// traces are what would give the canary away in a file: its bytes as they are
// on the wire, as samples of one channel, and as text.
func (c *canary) traces(into map[string]string, name string) {
	wire := slices.Concat(c.payload, c.payload)
	var samples []byte
	for _, s := range slices.Concat(c.pcm, c.pcm) {
		samples = binary.LittleEndian.AppendUint16(samples, uint16(s))
	}
	for form, b := range map[string][]byte{
		"µ-law": wire, "samples": samples, "hex": []byte(hex.EncodeToString(wire)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(wire))),
		"base64": []byte(base64.StdEncoding.EncodeToString(wire)), "base64+1": []byte(base64.StdEncoding.EncodeToString(wire[1:])), "base64+2": []byte(base64.StdEncoding.EncodeToString(wire[2:])),
	} {
		for i := 0; i+window <= len(b); i++ {
			into[string(b[i:i+window])] = name + " as " + form
		}
	}
}

// search looks for traces in every byte of every file below the directories, and
// returns how many bytes it saw.
func search(t *testing.T, traces map[string]string, roots ...string) (size int64) {
	t.Helper()
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a file that was temporary
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			size += int64(len(b))
			if bytes.Contains(b, []byte(canaryDigits)) {
				t.Errorf("%s holds the digits of the pause as text", path)
			}
			for i := 0; i+window <= len(b); i++ {
				if name, ok := traces[string(b[i:i+window])]; ok {
					t.Errorf("%s holds %s at offset %d", path, name, i)
					return nil
				}
			}
			if strings.HasSuffix(path, journal.Extension) {
				searchDigits(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return size
}

// searchDigits looks for the keys of the pause in a journal: as entries, and as
// packets that name them.
func searchDigits(t *testing.T, path string) {
	t.Helper()
	for _, e := range entriesOf(t, path) {
		switch {
		case e.Kind == journal.KindDigit && strings.ContainsRune(canaryDigits, rune(e.Digit.Key)):
			t.Errorf("%s notes the key %q of the pause", path, e.Digit.Key)
		case e.Kind == journal.KindPacket && e.Packet.PT == 101 && len(e.Packet.Payload) > 0:
			if key := "0123456789*#ABCD"[e.Packet.Payload[0]&15]; strings.ContainsRune(canaryDigits, rune(key)) {
				t.Errorf("%s holds a packet of the key %q of the pause", path, key)
			}
		}
	}
}

func entriesOf(t *testing.T, path string) (out []journal.Entry) {
	t.Helper()
	r, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		var e journal.Entry
		err := r.Next(&e)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Packet.Payload = bytes.Clone(e.Packet.Payload)
		out = append(out, e)
	}
}

// steerAll pauses or resumes recordings of a call.
func (s *Stage) steerAll(t *testing.T, call string, status string, recs ...string) {
	t.Helper()
	for i, rec := range recs {
		body := `{"status":"` + status + `"}`
		if status == "paused" && i == 1 {
			body = `{"status":"paused","pauseBehavior":"skip"}`
		}
		s.Steer(t, call, rec, body)
	}
}

// eventHeard waits until the party has heard a telephone-event.
func eventHeard(t *testing.T, p *callgen.Party, from int) {
	t.Helper()
	testkit.Eventually(t, patience, func() bool {
		return slices.ContainsFunc(p.Heard()[from:], func(f callgen.Frame) bool { return f.PT == 101 })
	})
}

// TestCanaryInAPause: what both parties say and press in pauses is in no byte
// under the data directory and in no log, while the server runs and afterwards;
// what they say before and after is whole and in its place, and the receipt says
// where the pauses are. One recording has its pauses as silence, one leaves them
// out.
func TestCanaryInAPause(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	s := NewStage(t, "--log-level", "debug")
	nearSays, farSays := newCanary(1), newCanary(2)
	traces := map[string]string{}
	nearSays.traces(traces, "what the near party said")
	farSays.traces(traces, "what a far party said")
	near := s.Party(t, callgen.PartyOptions{User: "3001", Codecs: []string{"PCMU"}})
	far := s.Party(t, callgen.PartyOptions{User: "3002", Codecs: []string{"PCMU"}})
	second := s.Party(t, callgen.PartyOptions{User: "3003", Codecs: []string{"PCMU"}})
	words := [][]int16{sweep(1, 300, 1200), sweep(1, 1300, 2200), sweep(1, 2300, 3300), sweep(1, 800, 2800)}

	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing")
	silent, skipped := s.Record(t, call.ID, `{"stereo":true}`), s.Record(t, call.ID, `{"stereo":true}`)
	var refusal struct{ Code string }
	status, _ := s.try(t, http.MethodPatch, s.callsPath()+"/"+call.ID+"/recordings/"+silent, `{"status":"paused"}`, &refusal)
	if status != http.StatusBadRequest || refusal.Code != "recording_not_active" {
		t.Errorf("a pause before the answer was answered with %d %s", status, refusal.Code)
	}
	var out struct{ BridgedCall Call }
	s.Do(t, http.MethodPost, s.callsPath()+"/"+call.ID+"/bridge", `{"to":"`+far.URI()+`","hangupAfterBridge":false}`, http.StatusAccepted, &out)
	d.Up(t)
	s.AwaitStatus(t, out.BridgedCall.ID, "ongoing")

	var begun []time.Duration
	say := func(what []int16) {
		t.Helper()
		b := near.Play(callgen.PCM(what))
		await(t, b.Done())
		at, _ := b.Began()
		begun = append(begun, at)
	}
	// quiet ends the canaries and waits until both parties heard that they ended,
	// so that the last packets of them came before the gate opens.
	quiet := func(other *callgen.Party) {
		t.Helper()
		near.Play(callgen.PCM(nil))
		other.Play(callgen.PCM(nil))
		hearing(t, other, 60*time.Millisecond)
		hearing(t, near, 60*time.Millisecond)
	}
	after := func(other *callgen.Party) { // the guard
		t.Helper()
		hearing(t, other, 200*time.Millisecond)
	}
	hearing(t, far, 100*time.Millisecond)
	hearing(t, near, 100*time.Millisecond)
	say(words[0])
	if err := near.Digits(openDigits[:1]); err != nil {
		t.Fatal(err)
	}
	hearing(t, far, 300*time.Millisecond)

	// A pause with sound only; the file so far is fetched in it.
	s.steerAll(t, call.ID, "paused", silent, skipped)
	near.Play(nearSays.source)
	far.Play(farSays.source)
	hearing(t, far, 500*time.Millisecond)
	s.Audio(t, silent)
	seen := search(t, traces, s.Data, s.log.Name())
	quiet(far)
	s.steerAll(t, call.ID, "ongoing", silent, skipped)
	after(far)
	say(words[1])

	// Digits of both in a pause. The last one is still held when the gate opens.
	s.steerAll(t, call.ID, "paused", silent, skipped)
	if err := errors.Join(near.Digits(canaryDigits), far.Digits(canaryDigits)); err != nil {
		t.Fatal(err)
	}
	hearing(t, near, time.Duration(len(canaryDigits))*150*time.Millisecond)
	hearing(t, far, 100*time.Millisecond)
	from := far.HeardCount()
	if err := near.Digits(canaryDigits[:1]); err != nil {
		t.Fatal(err)
	}
	eventHeard(t, far, from)
	s.steerAll(t, call.ID, "ongoing", silent, skipped)
	after(far)
	if err := near.Digits(openDigits[1:]); err != nil {
		t.Fatal(err)
	}
	hearing(t, far, 500*time.Millisecond)
	say(words[2])

	// The far party goes and another comes, all in one pause.
	s.steerAll(t, call.ID, "paused", silent, skipped)
	near.Play(nearSays.source)
	far.Play(farSays.source)
	hearing(t, far, 200*time.Millisecond)
	if err := far.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitStatus(t, out.BridgedCall.ID, "completed")
	second.Play(farSays.source)
	s.AwaitStatus(t, s.BridgeTo(t, call.ID, second.URI()), "ongoing")
	hearing(t, near, 200*time.Millisecond)
	hearing(t, second, 200*time.Millisecond)
	quiet(second)
	s.steerAll(t, call.ID, "ongoing", silent, skipped)
	after(second)
	say(words[3])
	hearing(t, second, 100*time.Millisecond)
	// And one that is never ended.
	s.steerAll(t, call.ID, "paused", silent, skipped)
	near.Play(nearSays.source)
	second.Play(farSays.source)
	hearing(t, second, 200*time.Millisecond)
	s.Command(t, call.ID, "hangup", "")

	recs := []string{silent, skipped}
	for i, rec := range recs {
		s.AwaitRecording(t, rec, "available")
		judgePauses(t, s, rec, i == 1, words, begun)
	}
	searchAtTheEnd(t, s, traces, seen, recs)
}

// searchAtTheEnd looks for the canaries when the recordings are available, and
// when the server has gone.
func searchAtTheEnd(t *testing.T, s *Stage, traces map[string]string, seen int64, recs []string) {
	t.Helper()
	seen += search(t, traces, s.Data, s.log.Name())
	s.Stop(t)
	seen += search(t, traces, s.Data, s.log.Name())
	for _, rec := range recs {
		if keys := keysOf(t, filepath.Join(s.Data, "journals", rec+journal.Extension)); keys != openDigits {
			t.Errorf("the journal of %s notes the keys %q, want %q", rec, keys, openDigits)
		}
	}
	t.Logf("FAULTS|pause: canary of sound and keys, both behaviours|%d|%d|0|0|0 bytes found in %d", 4*len(recs), len(recs), seen)
}

func keysOf(t *testing.T, path string) (keys string) {
	t.Helper()
	for _, e := range entriesOf(t, path) {
		if e.Kind == journal.KindDigit {
			keys += string(e.Digit.Key)
		}
	}
	return keys
}

// judgePauses checks file and receipt of a recording with four pauses.
func judgePauses(t *testing.T, s *Stage, rec string, skip bool, words [][]int16, begun []time.Duration) {
	t.Helper()
	a, file := s.receipt(t, rec), s.Audio(t, rec)
	if len(a.Pauses) != 4 || !a.Complete || a.Samples != int64(len(file.Sides[0])) {
		t.Fatalf("the receipt of %s has %d pauses, complete %v, and %d samples, the file %d", rec, len(a.Pauses), a.Complete, a.Samples, len(file.Sides[0]))
	}
	left := time.Duration(0) // out of the file
	at := make([]time.Duration, len(words))
	for i, p := range a.Pauses {
		length := (p.EndMs - p.StartMs) * int64(file.Rate) / 1000
		behavior := "silence"
		if skip {
			behavior, length = "skip", 0
		}
		if p.PauseBehavior != behavior || p.Length < length-16 || p.Length > length+16 || p.EndMs <= p.StartMs || p.Open != (i == 3) {
			t.Errorf("%s: pause %d is %+v", rec, i, p)
		}
		for n, side := range file.Sides {
			for k := p.Sample; k < p.Sample+p.Length; k++ {
				if side[k] != 0 {
					t.Errorf("%s: pause %d is not silent on side %d at sample %d", rec, i, n, k)
					break
				}
			}
		}
		if i < len(words) {
			at[i] = found(t, file.Sides[0], words[i], "the words before pause "+string(rune('1'+i)))
			// Every sound is where it was said, less what was left out before it.
			if off := (at[i] - at[0] + left - (begun[i] - begun[0])).Abs(); off > 20*time.Millisecond {
				t.Errorf("%s: the words before pause %d are off by %v", rec, i+1, off)
			}
		}
		if skip {
			left += time.Duration(p.EndMs-p.StartMs) * time.Millisecond
		}
	}
}

// TestMaskedDigits: with recording.mask_dtmf no key is in any file or log, in a
// pause or not, and the account of the file stays right.
func TestMaskedDigits(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	config := testkit.WriteFile(t, t.TempDir(), "tapedeck.yaml", "recording:\n  mask_dtmf: true\n")
	s := NewStage(t, "--config", config, "--log-level", "debug")
	near := s.Party(t, callgen.PartyOptions{User: "3001", Codecs: []string{"PCMU"}})
	far := s.Party(t, callgen.PartyOptions{User: "3002", Codecs: []string{"PCMU"}})
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	hearing(t, far, 100*time.Millisecond)
	if err := errors.Join(near.Digits(canaryDigits), far.Digits(canaryDigits)); err != nil {
		t.Fatal(err)
	}
	hearing(t, far, time.Duration(len(canaryDigits))*200*time.Millisecond)
	heardKeys := 0
	for _, f := range far.Heard() {
		if f.PT == 101 {
			heardKeys++
		}
	}
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	search(t, nil, s.Data, s.log.Name())
	kept := 0
	for _, e := range entriesOf(t, filepath.Join(s.Data, "journals", rec+journal.Extension)) {
		if e.Kind == journal.KindPacket && e.Packet.PT == 101 {
			if kept++; len(e.Packet.Payload) > 0 {
				t.Fatal("a telephone-event has its payload")
			}
		}
	}
	if kept < heardKeys || heardKeys < 7*len(canaryDigits) {
		t.Errorf("%d packets of keys in the journal; the far party heard %d", kept, heardKeys)
	}
	if a := s.receipt(t, rec); !a.Complete || !a.DigitsMasked || a.Tracks[0].Lost+a.Tracks[1].Lost > 0 {
		t.Errorf("the receipt says %+v", a)
	}
}
