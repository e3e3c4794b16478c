package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/keys"
	"tapedeck/internal/receipt"
	"tapedeck/internal/render"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// exhibit is a recording with its receipt and journal, as a server leaves them.
type exhibit struct {
	dir     string
	key     *keys.Key
	wav     []byte
	content render.Receipt
	receipt []byte
	journal []byte
}

const frames = 1000 // of the recording, in stereo

func newExhibit(t testing.TB) *exhibit {
	t.Helper()
	e := &exhibit{dir: t.TempDir(), journal: bytes.Repeat([]byte("journal "), 64)}
	key, err := keys.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e.key = key
	f, err := os.Create(e.path("made.wav"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewWriter(f, wav.Format{SampleRate: 8000, Channels: 2}, frames)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 2*frames)
	for i := range pcm {
		pcm[i] = int16(i * 17)
	}
	if err := errors.Join(w.Write(pcm), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if e.wav, err = os.ReadFile(f.Name()); err != nil {
		t.Fatal(err)
	}
	_, sum, err := digest(bytes.NewReader(e.wav))
	if err != nil {
		t.Fatal(err)
	}
	_, journalSum, err := digest(bytes.NewReader(e.journal))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e.content = render.Receipt{
		Version: render.ReceiptVersion, Recording: "rec", Call: "call", Start: start, End: start.Add(125 * time.Millisecond),
		EndCause: voice.EndCallEnded, Complete: true, SampleRate: 8000, Channels: 2, Samples: frames, DurationMs: 125,
		Parties: []voice.RecordingChannel{}, Tracks: []render.TrackReceipt{{Party: "+1555", Role: voice.RoleCaller, Received: 7}},
		File:    render.FileDigest{Size: int64(len(e.wav)), SHA256: sum},
		Journal: render.JournalDigest{Size: int64(len(e.journal)), SHA256: journalSum},
	}
	e.receipt = e.sign(t, e.content)
	return e
}

func (e *exhibit) path(name string) string { return filepath.Join(e.dir, name) }

func (e *exhibit) sign(t testing.TB, content any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := e.key.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// run verifies the bytes given.
func (e *exhibit) run(t testing.TB, file, receipt []byte, key receipt.PublicKey) *Report {
	t.Helper()
	r, err := Run(t.Context(), Options{
		File: testkit.WriteFile(t, e.dir, "a.wav", string(file)), Receipt: testkit.WriteFile(t, e.dir, "a.json", string(receipt)),
		Journal: testkit.WriteFile(t, e.dir, "a.journal", string(e.journal)), Key: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func printed(t testing.TB, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestVerified(t *testing.T) {
	e := newExhibit(t)
	for _, key := range []receipt.PublicKey{nil, e.key.Public()} {
		r := e.run(t, e.wav, e.receipt, key)
		said := printed(t, r)
		if !r.Verified || r.KeyID != e.key.Public().ID() || r.KeyGiven != (key != nil) || len(r.Faults()) > 0 {
			t.Errorf("not verified:\n%s", said)
		}
		if hint := strings.Contains(said, "compare the fingerprint "+r.KeyID); hint == r.KeyGiven {
			t.Errorf("the hint to compare the key is there: %v:\n%s", hint, said)
		}
		for _, want := range []string{"VERIFIED: ", "complete: everything", "left, caller +1555: 7 packets, none lost", "ended with the call", "journal "} {
			if !strings.Contains(said, want) {
				t.Errorf("%q is missing in\n%s", want, said)
			}
		}
	}
}

// TestEveryByteOfTheReceipt changes each byte of a receipt: the file stays the
// same, and nothing is verified any more.
func TestEveryByteOfTheReceipt(t *testing.T) {
	e := newExhibit(t)
	for i := range e.receipt {
		e.receipt[i] ^= 1
		r := &Report{}
		content := r.signature(e.receipt, nil)
		if r.Findings[0].Agree {
			t.Errorf("byte %d: not noticed", i)
		}
		if content != nil && r.KeyID != "" {
			t.Errorf("byte %d: key %s is said to have signed", i, r.KeyID)
		}
		e.receipt[i] ^= 1
	}
	if r := (&Report{}); r.signature(e.receipt, e.key.Public()) == nil || !r.Findings[0].Agree {
		t.Fatalf("the test itself is broken: %+v", r)
	}
}

// TestFileChanged changes the recording in every region: each byte of the
// header, samples of both channels from the first to the last, the end.
func TestFileChanged(t *testing.T) {
	e := newExhibit(t)
	header := len(e.wav) - 4*frames
	var at []int
	for i := range header {
		at = append(at, i)
	}
	for frame := 0; frame < frames; frame += 37 {
		for b := range 4 { // both bytes of both channels
			at = append(at, header+4*frame+b)
		}
	}
	at = append(at, len(e.wav)-4, len(e.wav)-3, len(e.wav)-2, len(e.wav)-1)
	for _, i := range at {
		e.wav[i] ^= 1
		r := &Report{}
		p := &progress{ended: t.Context().Err}
		if err := r.file(p, testkit.WriteFile(t, e.dir, "a.wav", string(e.wav)), &e.content); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(r.Faults(), render.FindHash) {
			t.Errorf("byte %d: not noticed: %v", i, r.Findings)
		}
		e.wav[i] ^= 1
	}
}

func TestNotVerified(t *testing.T) {
	e := newExhibit(t)
	other := newExhibit(t)
	otherContent := e.content
	otherContent.File.SHA256 = strings.Repeat("0", 64)
	newer := e.content
	newer.Version++
	mono := bytes.Clone(e.wav)
	mono[22] = 1
	for name, c := range map[string]struct {
		file, receipt []byte
		key           receipt.PublicKey
		faults        []string
		says          string
	}{
		"another key":            {e.wav, e.receipt, other.key.Public(), []string{FindSignature}, "signed by another key"},
		"signed by a stranger":   {e.wav, other.sign(t, e.content), e.key.Public(), []string{FindSignature}, "signed by another key"},
		"of another recording":   {e.wav, e.sign(t, otherContent), nil, []string{render.FindHash}, "0000"},
		"cut":                    {e.wav[:len(e.wav)-4], e.receipt, nil, []string{render.FindSamples, render.FindSize, render.FindHash}, "3996 bytes"},
		"cut within a sample":    {e.wav[:len(e.wav)-1], e.receipt, nil, []string{render.FindSamples, render.FindSize, render.FindHash}, "bytes of audio"},
		"extended":               {append(bytes.Clone(e.wav), 0), e.receipt, nil, []string{render.FindSamples, render.FindSize, render.FindHash}, ""},
		"cut in the header":      {e.wav[:30], e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindSize, render.FindHash}, "ends within its header"},
		"empty":                  {nil, e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindSize, render.FindHash}, "ends within its header"},
		"other format":           {mono, e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindHash}, ""},
		"FLAC":                   {[]byte("fLaC and so on, longer than a header of a file would ever be"), e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindSize, render.FindHash}, "a FLAC file: this receipt is of the WAV file"},
		"MP3":                    {[]byte("ID3 and so on"), e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindSize, render.FindHash}, "an MP3 file"},
		"Ogg":                    {[]byte("OggS and so on"), e.receipt, nil, []string{render.FindFormat, render.FindSamples, render.FindSize, render.FindHash}, "an Ogg file"},
		"receipt changed":        {e.wav, bytes.Replace(e.receipt, []byte(`"lost": 0`), []byte(`"lost": 1`), 1), nil, []string{FindSignature}, "cannot be trusted"},
		"receipt and file":       {e.wav[:len(e.wav)-4], bytes.Replace(e.receipt, []byte(`"lost": 0`), []byte(`"lost": 1`), 1), nil, []string{FindSignature, render.FindSamples, render.FindSize, render.FindHash}, ""},
		"receipt cut":            {e.wav, e.receipt[:len(e.receipt)-2], nil, []string{FindSignature}, "no JSON"},
		"receipt empty":          {e.wav, nil, nil, []string{FindSignature}, "empty"},
		"no receipt":             {e.wav, e.wav, nil, []string{FindSignature}, "no JSON"},
		"receipt unsigned":       {e.wav, mustIndent(t, e.content), nil, []string{FindSignature}, "no signature"},
		"other signed JSON":      {e.wav, e.sign(t, map[string]any{"version": 1}), nil, []string{FindSignature}, "no receipt of a recording"},
		"signed JSON, no fields": {e.wav, e.sign(t, map[string]any{"file": "x"}), nil, []string{FindSignature}, "no receipt of a recording"},
		"newer receipt":          {e.wav, e.sign(t, newer), nil, []string{FindSignature}, "version 2"},
	} {
		r := e.run(t, c.file, c.receipt, c.key)
		said := printed(t, r)
		if r.Verified || !slices.Equal(r.Faults(), c.faults) || !strings.HasPrefix(said, "NOT VERIFIED") || !strings.Contains(said, c.says) {
			t.Errorf("%s: faults %q, want %q and %q:\n%s", name, r.Faults(), c.faults, c.says, said)
		}
	}
	e.journal[5] ^= 1
	if r := e.run(t, e.wav, e.receipt, nil); r.Verified || !slices.Equal(r.Faults(), []string{FindJournal}) {
		t.Errorf("journal changed: %q", r.Faults())
	}
}

func mustIndent(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOtherFormat: a file that is no WAV, with a receipt of its own.
func TestOtherFormat(t *testing.T) {
	e := newExhibit(t)
	song := []byte("OggS, let us say")
	_, sum, err := digest(bytes.NewReader(song))
	if err != nil {
		t.Fatal(err)
	}
	own := e.content
	own.File = render.FileDigest{Format: voice.FormatOgg, Size: int64(len(song)), SHA256: sum}
	signed := e.sign(t, own)
	if r := e.run(t, song, signed, nil); !r.Verified {
		t.Errorf("not verified:\n%s", printed(t, r))
	}
	song[3] ^= 1
	if r := e.run(t, song, signed, nil); r.Verified || !slices.Equal(r.Faults(), []string{render.FindHash}) {
		t.Errorf("one byte changed: %q", r.Faults())
	}
}

func TestUnreadable(t *testing.T) {
	e := newExhibit(t)
	file, account := testkit.WriteFile(t, e.dir, "a.wav", string(e.wav)), testkit.WriteFile(t, e.dir, "a.json", string(e.receipt))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	none := e.path("none")
	for name, c := range map[string]struct {
		ctx  context.Context
		o    Options
		want error
	}{
		"no file":     {t.Context(), Options{File: none, Receipt: account}, fs.ErrNotExist},
		"no receipt":  {t.Context(), Options{File: file, Receipt: none}, fs.ErrNotExist},
		"no journal":  {t.Context(), Options{File: file, Receipt: account, Journal: none}, fs.ErrNotExist},
		"a directory": {t.Context(), Options{File: e.dir, Receipt: account}, nil},
		"cancelled":   {ctx, Options{File: file, Receipt: account}, context.Canceled},
	} {
		if _, err := Run(c.ctx, c.o); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := os.Truncate(account, maxReceipt+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Options{File: file, Receipt: account}); err == nil || !strings.Contains(err.Error(), "no receipt") {
		t.Errorf("a huge receipt: %v", err)
	}
}

func TestProgress(t *testing.T) {
	e := newExhibit(t)
	var last, of int64
	_, err := Run(t.Context(), Options{
		File: e.path("made.wav"), Receipt: testkit.WriteFile(t, e.dir, "a.json", string(e.receipt)),
		Journal: testkit.WriteFile(t, e.dir, "a.journal", string(e.journal)),
		Progress: func(done, total int64) {
			if done < last || done > total {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last, of = done, total
		},
	})
	if want := int64(len(e.wav) + len(e.journal)); err != nil || last != want || of != want {
		t.Errorf("%d of %d, want %d: %v", last, of, want, err)
	}
}

func TestSummary(t *testing.T) {
	r := newExhibit(t).content
	r.Complete, r.EndCause, r.Swapped, r.Masked = false, voice.EndNodeLost, true, true
	r.Gaps, r.MoreGaps = []render.GapSpan{{Lost: 5}, {Lost: 2}, {Tail: true}, {Damaged: true}}, 1
	r.Journal.CorruptParts, r.Journal.CorruptBytes, r.Journal.TornBytes = 1, 99, 7
	r.Pauses = []render.PauseSpan{{StartMs: 10, EndMs: 60, Behavior: voice.PauseSilence}, {StartMs: 70, EndMs: 80, Behavior: voice.PauseSkip, Open: true}}
	r.Tracks = []render.TrackReceipt{
		{
			Party: "a\x1b[2Jb\nVERIFIED", Role: voice.RoleCaller, Received: 90, Lost: 10, ConcealedMs: 60, Late: 1, Duplicate: 2, Stray: 3, Undecodable: 4,
			SilenceMs: 150, Silence: []render.SilenceSpan{{Length: 800, Reason: render.SilenceNoPackets}, {Length: 400, Reason: render.SilencePaused}, {Length: 80, Reason: render.SilenceComfortNoise}, {Length: 8, Reason: render.SilenceNotRecorded}},
			MoreSilence: 3, Uncertain: true,
		},
		{Party: "b", Role: voice.RoleCallee, Side: 1, NoMedia: true},
	}
	said := printed(t, &Report{File: "x", KeyID: "1", Summary: Summary(&r)})
	for _, want := range []string{
		"left and right are exchanged", "no key that a party pressed was kept",
		"the server went down", "NOT complete: ", "3 gaps in which the disk was too slow, at least 7 packets lost",
		"what came after its end never reached the disk", "1 part of the journal damaged, 99 bytes", "cut off, 7 bytes",
		"paused by request 2 times, 60ms together, partly silence in the file, partly left out; the recording ended paused",
		"90 packets, 10 never arrived (10.00 %); 60ms made up for lost packets (concealed); 1 late but in place; 2 duplicate; 3 stray, left out; 4 not decodable",
		"silent for 150ms (100ms nothing was sent or arrived, 50ms paused, 10ms comfort noise, 1ms perhaps not kept, the rest in 3 spans not listed)", "right, callee b: no audio came from this party",
		"a\ufffd[2Jb\ufffdVERIFIED: (whose voice this is stood in a damaged part of the journal) ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
	if strings.ContainsRune(said, '\x1b') {
		t.Error("a name reaches the terminal as a command")
	}
	for _, c := range append(voice.EndCauses(), "", "odd") {
		if ending(c) == "" {
			t.Errorf("nothing is said about the cause %q", c)
		}
	}
	r.Gaps, r.MoreGaps, r.Journal = nil, 0, render.JournalDigest{}
	if said := completeness(&r); !strings.Contains(said, "did not end in good order") {
		t.Error(said)
	}
	r.Channels = 1
	if said := strings.Join(Summary(&r), "\n"); strings.Contains(said, "left") && !strings.Contains(said, "left out") || strings.Contains(said, "right,") {
		t.Errorf("sides of a file with one channel: %s", said)
	}
}

// FuzzReceipt: no receipt, signed by whoever, and no file crashes verify or is
// verified without being what it is.
func FuzzReceipt(f *testing.F) {
	e := newExhibit(f)
	f.Add(e.receipt, e.wav, false)
	f.Add([]byte(`{"version": 1, "file": {"sha256": "0"}, "channels": 2, "tracks": [{"channel": -7}]}`), e.wav[:44], true)
	f.Add([]byte(`{"version": 1, "file": {"sha256": "0", "size": -1}, "channels": 2147483647, "samples": 9223372036854775807, "sampleRate": -1, "tracks": [{"silenceMs": 1, "silence": [{"reason": "paused", "length": 1}]}], "pauses": [{"open": true}]}`), e.wav, true)
	f.Fuzz(func(t *testing.T, account, file []byte, sign bool) {
		if sign {
			var indented bytes.Buffer
			if json.Indent(&indented, account, "", "  ") == nil {
				if signed, err := e.key.Sign(indented.Bytes()); err == nil {
					account = signed
				}
			}
		}
		// As Run does, but without a disk, which would be most of the time.
		r := &Report{}
		content := r.signature(account, e.key.Public())
		if content != nil {
			r.Summary = Summary(content)
			findings, err := render.Compare(bytes.NewReader(file), content)
			if err != nil {
				t.Fatal(err)
			}
			r.Findings = append(r.Findings, findings...)
		}
		printed(t, r)
		if _, sum, err := digest(bytes.NewReader(file)); content != nil && len(r.Faults()) == 0 && (err != nil || sum != content.File.SHA256) {
			t.Fatalf("verified, with hash %s: %+v", sum, r)
		}
	})
}
