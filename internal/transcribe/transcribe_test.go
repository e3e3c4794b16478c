package transcribe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/audio"
	"tapedeck/internal/blob"
	"tapedeck/internal/blob/fileblob"
	"tapedeck/internal/speech"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// ear understands bursts: each is a word, by its pitch.
type ear struct {
	err   error
	heard func() // called for each piece; nil = nothing
	clips []time.Duration
}

func (*ear) Name() string { return "ear" }

func (*ear) Locales() []string { return []string{"en-US"} }

// Recognize finds stretches with sound and names their pitch in hundreds of hertz,
// by counting how often they cross zero.
func (e *ear) Recognize(_ context.Context, clip *audio.Clip, _ string) ([]speech.Word, error) {
	e.clips = append(e.clips, clip.Duration())
	if e.heard != nil {
		e.heard()
	}
	if e.err != nil {
		return nil, e.err
	}
	var out []speech.Word
	const step = 320
	start, crossings := -1, 0
	at := func(i int) time.Duration { return time.Duration(i) * time.Second / time.Duration(clip.Rate) }
	for i := 0; i+step <= len(clip.Samples); i += step {
		piece := clip.Samples[i : i+step]
		loud := audio.Measure(piece).RMS > -40
		if loud && start < 0 {
			start, crossings = i, 0
		}
		if loud {
			for k := 1; k < step; k++ {
				if (piece[k] < 0) != (piece[k-1] < 0) {
					crossings++
				}
			}
		} else if start >= 0 {
			hz := float64(crossings) / 2 / at(i-start).Seconds()
			out = append(out, speech.Word{Text: fmt.Sprintf("w%.0f", math.Round(hz/100)), Start: at(start), End: at(i)})
			start = -1
		}
	}
	return out, nil
}

// burst is a word: from, to, and its pitch, on a channel.
type burst struct {
	channel  int
	from, to float64 // seconds
	hz       float64
}

// rig is a transcriber over real stores.
type rig struct {
	*Transcriber
	rec voice.Recording
	dir string
}

func newRig(t *testing.T, by speech.Recognizer, channels int, seconds float64, said ...burst) *rig {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: filepath.Join(t.TempDir(), "files")}
	driver, err := fileblob.New(fileblob.Options{Dir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	bucket := blob.New(driver)
	t.Cleanup(func() {
		if err := errors.Join(bucket.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	kept, err := archive.New(archive.Options{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	if r.Transcriber, err = New(Options{DB: db, Archive: kept, By: by}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	ws, ch, call := voice.WorkspaceID(store.NewID()), voice.ChannelID(store.NewID()), voice.CallID(store.NewID())
	r.rec = voice.Recording{
		ID: voice.RecordingID(store.NewID()), Workspace: ws, Channel: ch, Call: call, Direction: voice.Incoming,
		Status: voice.RecordingAvailable, Origin: voice.OriginCommandRecordCall, Stereo: channels == 2, CreatedAt: at, UpdatedAt: at,
	}
	file, err := kept.Store(t.Context(), r.rec, master(t, channels, seconds, said), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.rec.File, r.rec.Receipt = file.Key, file.ReceiptKey
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertWorkspace(voice.Workspace{ID: ws, Name: "a", CreatedAt: at, UpdatedAt: at}),
			tx.InsertChannel(voice.Channel{ID: ch, Workspace: ws, Number: "1", CreatedAt: at, UpdatedAt: at}),
			tx.PutCall(voice.Call{ID: call, Workspace: ws, Channel: ch, Direction: voice.Incoming, Status: voice.CallCompleted, Type: voice.CallSIP, CreatedAt: at, UpdatedAt: at}),
			tx.PutRecording(r.rec))
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// master writes a WAV file at 8 kHz.
func master(t *testing.T, channels int, seconds float64, said []burst) string {
	t.Helper()
	const rate = 8000
	pcm := make([]int16, int(seconds*rate)*channels)
	for _, b := range said {
		for i := int(b.from * rate); i < int(b.to*rate); i++ {
			pcm[i*channels+b.channel] = int16(8000 * math.Sin(2*math.Pi*b.hz*float64(i)/rate))
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "x.wav"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewWriter(f, wav.Format{SampleRate: rate, Channels: channels}, wav.Unknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(pcm), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// order puts a transcription there, as control does, and returns its job.
func (r *rig) order(t *testing.T, locale string) store.Job {
	t.Helper()
	in := voice.NewTranscription(voice.TranscriptionID(store.NewID()), &r.rec, locale, time.Now().UTC())
	if err := r.o.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.PutTranscription(in) }); err != nil {
		t.Fatal(err)
	}
	return store.Job{Kind: voice.JobTranscribe, Ref: in.Ref(), Attempts: 1}
}

func (r *rig) result(t *testing.T, job store.Job) (out voice.Transcription, rec voice.Recording) {
	t.Helper()
	ws, id, err := voice.SplitTranscriptionRef(job.Ref)
	if err != nil {
		t.Fatal(err)
	}
	err = r.o.DB.View(t.Context(), func(tx *store.Tx) (err error) {
		if out, err = tx.Transcription(ws, id); err != nil {
			return err
		}
		rec, err = tx.Recording(ws, r.rec.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, rec
}

// near reports whether a segment is the one that was said.
func near(s voice.Segment, channel int, from, to float64, text string) bool {
	const off = 60
	return s.Channel == channel && s.Text == text &&
		math.Abs(float64(s.StartMs)-1000*from) < off && math.Abs(float64(s.EndMs)-1000*to) < off
}

// TestEachSideAtItsTime: what each side says is found on its side, at its time.
func TestEachSideAtItsTime(t *testing.T) {
	r := newRig(t, &ear{}, 2, 20,
		burst{0, 2, 2.4, 500}, burst{0, 2.7, 3.1, 700}, burst{1, 2.9, 3.4, 900}, burst{0, 12, 12.5, 500}, burst{1, 19.2, 19.7, 1100})
	job := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	got, rec := r.result(t, job)
	s := got.Segments
	if got.Status != voice.TranscriptionAvailable || !got.Stereo || len(s) != 4 || !rec.Transcribed || got.Summary != "w5 w7 w9 w5 w11" {
		t.Fatalf("%+v, transcribed %v", got, rec.Transcribed)
	}
	if !near(s[0], 0, 2, 3.1, "w5 w7") || !near(s[1], 1, 2.9, 3.4, "w9") || !near(s[2], 0, 12, 12.5, "w5") || !near(s[3], 1, 19.2, 19.7, "w11") {
		t.Errorf("%+v", s)
	}
	if err := r.Transcribe(t.Context(), job); err != nil { // the same job again
		t.Fatal(err)
	}
	if again, _ := r.result(t, job); !reflect.DeepEqual(again, got) {
		t.Errorf("%+v", again)
	}
}

// TestNoPieceIsLong: who never stops talking is cut between two words.
func TestNoPieceIsLong(t *testing.T) {
	var said []burst
	for at := 1.0; at < 99; at += 0.5 {
		said = append(said, burst{0, at, at + 0.4, 600})
	}
	e := &ear{}
	r := newRig(t, e, 1, 100, said...)
	job := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	got, _ := r.result(t, job)
	words := 0
	for _, s := range got.Segments {
		words += len(strings.Fields(s.Text))
		if s.EndMs-s.StartMs > longestText.Milliseconds() || len(s.Text) > mostText {
			t.Errorf("%+v is more than a glance", s)
		}
	}
	if words != len(said) || len(e.clips) < 4 || !strings.HasSuffix(got.Summary, "…") || len(got.Summary) > mostSummary+3 {
		t.Errorf("%d words of %d, in pieces of %v, %q", words, len(said), e.clips, got.Summary)
	}
	for _, c := range e.clips {
		if c > longest {
			t.Errorf("a piece of %v", c)
		}
	}
}

func TestSilenceSaysNothing(t *testing.T) {
	e := &ear{}
	r := newRig(t, e, 2, 5)
	job := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.result(t, job); got.Status != voice.TranscriptionAvailable || len(got.Segments) != 0 || len(e.clips) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestFailures(t *testing.T) {
	e := &ear{err: errors.New("no model")}
	r := newRig(t, e, 1, 3, burst{0, 1, 2, 500})
	job := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), job); !errors.Is(err, errEngine) {
		t.Fatalf("the first time: %v", err)
	}
	if got, _ := r.result(t, job); got.Status != voice.TranscriptionAccepted || !strings.Contains(got.Problem, "speech engine") {
		t.Errorf("it is tried again: %+v", got)
	}
	job.Attempts = maxAttempts
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got, rec := r.result(t, job); got.Status != voice.TranscriptionFailed || rec.Transcribed {
		t.Errorf("the last time: %+v", got)
	}
	other := r.order(t, "fr-FR")
	if err := r.Transcribe(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.result(t, other); got.Status != voice.TranscriptionFailed || !strings.Contains(got.Problem, "there are en-US") {
		t.Errorf("another locale: %+v", got)
	}
	r.o.By = nil
	none := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.result(t, none); got.Status != voice.TranscriptionFailed || !strings.Contains(got.Problem, "nothing that understands") {
		t.Errorf("no engine: %+v", got)
	}
	for _, ref := range []string{"", "x/y"} {
		if err := r.Transcribe(t.Context(), store.Job{Ref: ref}); err == nil {
			t.Errorf("%q is done", ref)
		}
	}
}

// TestBrokenOff: one that a restart broke off is made by the next.
func TestBrokenOff(t *testing.T) {
	e := &ear{}
	r := newRig(t, e, 1, 3, burst{0, 1, 2, 500})
	job := r.order(t, "en-US")
	ctx, cancel := context.WithCancel(t.Context())
	e.heard, e.err = cancel, context.Canceled
	if err := r.Transcribe(ctx, job); err == nil {
		t.Fatal("it is done")
	}
	if got, _ := r.result(t, job); got.Status != voice.TranscriptionOngoing {
		t.Errorf("%+v", got)
	}
	e.heard, e.err = nil, nil
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.result(t, job); got.Status != voice.TranscriptionAvailable || len(got.Segments) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestDeleted: what is deleted while it is listened to leaves no text.
func TestDeleted(t *testing.T) {
	e := &ear{}
	r := newRig(t, e, 1, 3, burst{0, 1, 2, 500})
	job := r.order(t, "en-US")
	e.heard = func() {
		r.rec.Status, r.rec.EndCause = voice.RecordingAbsent, voice.EndDeleted
		err := r.o.DB.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.EraseTranscriptions(r.rec.ID, time.Now()), tx.PutRecording(r.rec))
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := r.Transcribe(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got, rec := r.result(t, job); got.Status != voice.TranscriptionAbsent || got.Segments != nil || got.Summary != "" || rec.Transcribed {
		t.Errorf("%+v", got)
	}
	late := r.order(t, "en-US")
	if err := r.Transcribe(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.result(t, late); got.Status != voice.TranscriptionAbsent {
		t.Errorf("asked for too late: %+v", got)
	}
}
