package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	promtest "github.com/prometheus/client_golang/prometheus/testutil"

	"tapedeck/internal/jobs"
	"tapedeck/internal/receipt"
	"tapedeck/internal/recorder"
	"tapedeck/internal/render"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

const patience = time.Minute

// runner does the rig's jobs until the test ends.
func (r *rig) runner(t testing.TB) *jobs.Runner {
	t.Helper()
	run, err := jobs.New(jobs.Options{DB: r.o.DB, Node: "test", Handlers: map[string]jobs.Handler{
		voice.JobPublish: r.Publish, voice.JobRender: r.Render,
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.wake = run.Wake
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1) // sent to once
	go func() { ended <- run.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return run
}

func (r *rig) render(t *testing.T, rec voice.Recording, id voice.RenderID) voice.Render {
	t.Helper()
	out, err := r.look(t.Context(), rec.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func renderJob(r voice.Render) store.Job {
	return store.Job{ID: store.NewID(), Kind: voice.JobRender, Ref: r.Ref(), Attempts: 1}
}

// content reads the file of a render.
func (r *rig) content(t *testing.T, m voice.Render) []byte {
	t.Helper()
	f, _, err := r.o.Archive.OpenRender(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// sides reads a WAV file.
func sides(t *testing.T, data []byte) [][]int16 {
	t.Helper()
	w, err := wav.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	channels := w.Format().Channels
	pcm := make([]int16, w.Frames()*int64(channels))
	if n, err := w.Read(pcm); err != nil || n != len(pcm) {
		t.Fatalf("%d samples, %v", n, err)
	}
	out := make([][]int16, channels)
	for i, v := range pcm {
		out[i%channels] = append(out[i%channels], v)
	}
	return out
}

// stored lists the files in the storage by what their names end with, without
// the recording's id.
func (r *rig) stored(t *testing.T, rec voice.Recording) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(r.storage, "*", "*", "*", "*", "recording", string(rec.ID)+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range all {
		all[i] = strings.TrimPrefix(filepath.Base(path), string(rec.ID))
	}
	slices.Sort(all)
	return all
}

func (r *rig) nothingAtWork(t *testing.T) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(r.o.WorkDir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
}

// TestRenderAgain: left and right changed over, and mixed, each with a signed
// receipt that speaks of the very file.
func TestRenderAgain(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	master, _, err := r.o.Archive.Open(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(master)
	if err := errors.Join(err, master.Close()); err != nil {
		t.Fatal(err)
	}
	original := sides(t, data)
	for name, c := range map[string]struct {
		want  voice.Render
		check func(got [][]int16) bool
	}{
		"swapped": {voice.Render{Stereo: true, Swap: true, Format: voice.FormatWAV}, func(got [][]int16) bool {
			return len(got) == 2 && slices.Equal(got[0], original[1]) && slices.Equal(got[1], original[0])
		}},
		"mixed": {voice.Render{Format: voice.FormatWAV}, func(got [][]int16) bool {
			return len(got) == 1 && slices.Equal(got[0], original[0]) // right is silent
		}},
		"FLAC": {voice.Render{Stereo: true, Format: voice.FormatFLAC}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			asked, err := r.Again(t.Context(), rec, c.want)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the job may come again
				if err := r.Render(t.Context(), renderJob(asked)); err != nil {
					t.Fatal(err)
				}
			}
			got := r.render(t, rec, asked.ID)
			if got.Status != voice.RenderAvailable || got.Duration != time.Second || got.Problem != "" {
				t.Fatalf("render is %+v", got)
			}
			data := r.content(t, got)
			if int64(len(data)) != got.Size || c.check != nil && !c.check(sides(t, data)) {
				t.Errorf("the file is not what was asked for: %d bytes", len(data))
			}
			account, err := r.o.Archive.RenderReceipt(t.Context(), got)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := receipt.Parse(account)
			if err != nil || signed.VerifyBy(r.key.Public()) != nil {
				t.Fatalf("receipt: %v, %v", err, signed.VerifyBy(r.key.Public()))
			}
			var said render.Receipt
			if err := json.Unmarshal(account, &said); err != nil || said.File.SHA256 != got.SHA256 || said.File.Size != got.Size || said.Recording != rec.ID {
				t.Errorf("the receipt speaks of %+v, %v", said.File, err)
			}
		})
	}
	r.nothingAtWork(t)
	if got := r.load(t, rec.ID); got.SHA256 != rec.SHA256 || got.File != rec.File {
		t.Error("the master is another now")
	}
}

// TestMadeOnce: however many ask for a format or the peaks at once, it is made
// once, and nobody sees a part of it.
func TestMadeOnce(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	r.runner(t)
	found := make(chan voice.Render, 8)
	var wg sync.WaitGroup
	for range cap(found) {
		wg.Go(func() {
			m, err := r.Format(t.Context(), rec, voice.FormatFLAC)
			if err != nil {
				t.Error(err)
			}
			found <- m
		})
	}
	wg.Wait()
	first := <-found
	for range cap(found) - 1 {
		if m := <-found; m.SHA256 != first.SHA256 || m.File != first.File {
			t.Errorf("one got %+v, another %+v", first, m)
		}
	}
	if data := r.content(t, first); !bytes.HasPrefix(data, []byte("fLaC")) || int64(len(data)) != first.Size {
		t.Errorf("the file begins with %.4q and has %d bytes, the row says %d", data, len(data), first.Size)
	}
	if n := promtest.ToFloat64(r.metrics.made.WithLabelValues("format", "published")); n != 1 {
		t.Errorf("made %v times", n)
	}
	// What can be made again may be deleted by whoever needs room.
	if err := os.Remove(filepath.Join(r.storage, filepath.FromSlash(first.File))); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Format(t.Context(), rec, voice.FormatFLAC); err != nil || again.SHA256 != first.SHA256 {
		t.Errorf("made again: %+v, %v", again, err)
	}
	r.nothingAtWork(t)
}

// TestPeaksAtAnyTime: of a live recording, of one that was made with its peaks,
// and of one from before there were any.
func TestPeaksAtAnyTime(t *testing.T) {
	r := newRig(t)
	live := r.row(t, voice.RecordingOngoing)
	if _, err := r.LivePeaks(t.Context(), live, 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a journal: %v", err)
	}
	r.journal(t, live.ID, begun)
	now, err := r.LivePeaks(t.Context(), live, 10)
	if err != nil || now.Samples != 8000 || len(now.Sides) != 2 || len(now.Sides[0].Max) != 10 || now.Sides[0].Max[5] == 0 || now.Sides[1].Max[5] != 0 {
		t.Fatalf("live: %+v, %v", now, err)
	}
	rec := r.published(t)
	stored, err := r.Peaks(t.Context(), rec, 10)
	if err != nil || !slices.Equal(stored.Sides[0].Max, now.Sides[0].Max) || !slices.Equal(stored.Sides[0].Min, now.Sides[0].Min) {
		t.Fatalf("stored: %+v, %v; live they were %+v", stored, err, now)
	}
	r.update(t, func(tx *store.Tx) error { return tx.DeleteRenders(rec.ID) })
	if err := r.o.Archive.EraseRender(t.Context(), rec, voice.PeaksRender(rec.ID)); err != nil {
		t.Fatal(err)
	}
	r.runner(t)
	later, err := r.Peaks(t.Context(), rec, 10)
	if err != nil || !slices.Equal(later.Sides[0].Max, now.Sides[0].Max) {
		t.Errorf("of an old recording: %+v, %v", later, err)
	}
	r.nothingAtWork(t)
}

// TestDeletedWhileItIsMade: a deletion that comes in the middle leaves nothing
// of the file that was being made.
func TestDeletedWhileItIsMade(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	asked, err := r.Again(t.Context(), rec, voice.Render{Format: voice.FormatWAV})
	if err != nil {
		t.Fatal(err)
	}
	r.sign = func() { // in the middle of the making
		gone := r.load(t, rec.ID)
		gone.Status, gone.EndCause = voice.RecordingAbsent, voice.EndDeleted
		r.update(t, func(tx *store.Tx) error {
			return errors.Join(tx.PutRecording(gone), tx.DeleteRenders(rec.ID))
		})
	}
	if err := r.Render(t.Context(), renderJob(asked)); err != nil {
		t.Fatal(err)
	}
	if got := r.stored(t, rec); !slices.Equal(got, []string{".json", ".peaks", ".wav"}) {
		t.Errorf("in the storage: %v", got)
	}
	if _, err := r.look(t.Context(), rec.ID, asked.ID); voice.CodeOf(err) != voice.CodeNotFound {
		t.Errorf("the render is there again: %v", err)
	}
	r.nothingAtWork(t)
	// A crash between the storage and the row: the job comes again and cleans up.
	orphan := testkit.WriteFile(t, t.TempDir(), "x", "orphan")
	if _, err := r.o.Archive.StoreRender(t.Context(), rec, asked, orphan, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := r.Render(t.Context(), renderJob(asked)); err != nil {
		t.Fatal(err)
	}
	if got := r.stored(t, rec); len(got) != 3 {
		t.Errorf("in the storage after the job came again: %v", got)
	}
}

// TestRenderFails: what can never be made is failed and says why in words that
// tell nothing of the inside; what may be made later is tried again, and says
// so; what was tried often enough is failed.
func TestRenderFails(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	ask := func() voice.Render {
		asked, err := r.Again(t.Context(), rec, voice.Render{Format: voice.FormatWAV})
		if err != nil {
			t.Fatal(err)
		}
		return asked
	}
	sick, gone := ask(), ask()
	r.sign = func() { panic("no pen") }
	if err := r.Render(t.Context(), renderJob(sick)); err == nil || isPermanent(err) {
		t.Errorf("a fault that may pass: %v", err)
	}
	if got := r.render(t, rec, sick.ID); got.Status != voice.RenderAccepted || got.Problem == "" || strings.Contains(got.Problem, "pen") {
		t.Errorf("render is %+v", got)
	}
	last := renderJob(sick)
	last.Attempts = maxAttempts
	if err := r.Render(t.Context(), last); err != nil {
		t.Error(err)
	}
	if got := r.render(t, rec, sick.ID); got.Status != voice.RenderFailed || got.Problem == "" {
		t.Errorf("render is %+v", got)
	}
	r.sign = nil
	if err := os.Remove(r.o.Recorder.Path(rec.ID)); err != nil {
		t.Fatal(err)
	}
	if err := r.Render(t.Context(), renderJob(gone)); err != nil {
		t.Error(err)
	}
	if got := r.render(t, rec, gone.ID); got.Status != voice.RenderFailed || got.Problem != "the journal is missing" {
		t.Errorf("render is %+v", got)
	}
	if _, err := r.Ready(t.Context(), rec, gone.ID); voice.CodeOf(err) != voice.CodeRenderFailed || !strings.Contains(err.Error(), "the journal is missing") {
		t.Errorf("asked for: %v", err)
	}
	if n := promtest.ToFloat64(r.metrics.made.WithLabelValues("again", "failed")); n != 3 {
		t.Errorf("%v failures are counted, want 3", n)
	}
	r.nothingAtWork(t)
}

// TestDamagedMaster: its conversion fails and says so to all for a while; when
// the file is whole again, it is made.
func TestDamagedMaster(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	r.runner(t)
	path := filepath.Join(r.storage, filepath.FromSlash(rec.File))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := r.Format(t.Context(), rec, voice.FormatFLAC)
		if voice.CodeOf(err) != voice.CodeRenderFailed || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("of half a file: %v", err)
		}
	}
	if n := promtest.ToFloat64(r.metrics.made.WithLabelValues("format", "failed")); n != 1 {
		t.Errorf("tried %v times", n)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	old := r.render(t, rec, voice.FormatRender(rec.ID, voice.FormatFLAC))
	old.UpdatedAt = old.UpdatedAt.Add(-2 * failedFor)
	r.update(t, func(tx *store.Tx) error { return tx.PutRender(old) })
	if got, err := r.Format(t.Context(), rec, voice.FormatFLAC); err != nil || got.Status != voice.RenderAvailable {
		t.Errorf("of the mended file: %+v, %v", got, err)
	}
}

// TestNotReady: who waits for long is told when to come again, the work is not
// lost, and one that gives up waits no longer.
func TestNotReady(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	r.o.Patience = time.Millisecond // and no runner: nothing is made
	for range 2 {
		_, err := r.Format(t.Context(), rec, voice.FormatFLAC)
		var e *voice.Error
		if !errors.As(err, &e) || e.Code != voice.CodeNotReady || e.RetryAfter <= 0 {
			t.Fatalf("asked for: %v", err)
		}
	}
	id := voice.FormatRender(rec.ID, voice.FormatFLAC)
	step := r.progress.of(id)
	step(1, 1000)
	if left := r.progress.left(id); left < 2*time.Second || left > 5*time.Minute {
		t.Errorf("%v are left", left)
	}
	r.progress.end(id)
	r.o.Patience = patience
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Format(gone, rec, voice.FormatFLAC); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	r.runner(t)
	if got, err := r.Format(t.Context(), rec, voice.FormatFLAC); err != nil || got.Status != voice.RenderAvailable {
		t.Errorf("at last: %+v, %v", got, err)
	}
}

// TestAgainRefuses: what cannot be rendered again says why, and what then.
func TestAgainRefuses(t *testing.T) {
	r := newRig(t)
	want := voice.Render{Format: voice.FormatWAV}
	for _, status := range voice.RecordingStatuses() {
		code := voice.CodeRecordingNotActive
		if status == voice.RecordingAbsent || status == voice.RecordingAvailable { // without a journal
			code = voice.CodeJournalGone
		}
		if _, err := r.Again(t.Context(), r.row(t, status), want); voice.CodeOf(err) != code {
			t.Errorf("a recording that is %s: %v, want %s", status, err, code)
		}
	}
	rec := r.published(t)
	if _, err := r.Again(t.Context(), rec, voice.Render{Format: "tape"}); voice.CodeOf(err) != voice.CodeFormatUnavailable {
		t.Errorf("an unknown format: %v", err)
	}
	r.update(t, func(tx *store.Tx) error {
		for range maxAgain - 1 {
			other := voice.Render{
				ID: voice.RenderID(store.NewID()), Workspace: rec.Workspace, Recording: rec.ID, Kind: voice.RenderAgain,
				Status: voice.RenderAvailable, Format: voice.FormatWAV, CreatedAt: rec.CreatedAt, UpdatedAt: rec.CreatedAt,
			}
			if err := tx.PutRender(other); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := r.Again(t.Context(), rec, want); err != nil {
		t.Fatalf("the last: %v", err)
	}
	if _, err := r.Again(t.Context(), rec, want); voice.CodeOf(err) != voice.CodeConflict {
		t.Errorf("one too many: %v", err)
	}
	// The journal waits for it.
	err := r.Sweep(t.Context(), r.job(rec))
	if !errors.Is(err, errWaiting) || isPermanent(err) || !r.hasJournal(rec.ID) {
		t.Errorf("swept while a render waits: %v", err)
	}
}

// TestNoRoomForMore: below the low-water mark of the disk nothing is made that is
// only asked for; what there is, and the masters, are as ever.
func TestNoRoomForMore(t *testing.T) {
	r := newRig(t)
	rec := r.published(t)
	before, err := r.Again(t.Context(), rec, voice.Render{Format: voice.FormatWAV})
	if err != nil {
		t.Fatal(err)
	}
	full, err := recorder.New(recorder.Options{Dir: r.dir, MinFree: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := full.Close(); err != nil {
			t.Error(err)
		}
	})
	roomy := r.o.Recorder
	r.o.Recorder = full
	if err := r.Render(t.Context(), renderJob(before)); err == nil || isPermanent(err) {
		t.Errorf("what was asked for while there was room: %v", err)
	}
	if got := r.render(t, rec, before.ID); got.Status != voice.RenderAccepted || got.Problem != "the disk has no room" {
		t.Errorf("it is %+v", got)
	}
	if _, err := r.Format(t.Context(), rec, voice.FormatFLAC); voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("another format: %v", err)
	}
	if _, err := r.Again(t.Context(), rec, voice.Render{Format: voice.FormatWAV}); voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("a render: %v", err)
	}
	live := r.row(t, voice.RecordingOngoing)
	r.journal(t, live.ID, begun)
	if _, _, err := r.Live(t.Context(), live, voice.FormatWAV); voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("what there is so far: %v", err)
	}
	if _, err := r.Peaks(t.Context(), rec, 10); err != nil {
		t.Errorf("peaks that are there: %v", err)
	}
	if other := r.published(t); other.Status != voice.RecordingAvailable {
		t.Errorf("a master is %s", other.Status)
	}
	r.o.Recorder = roomy
	if err := r.Render(t.Context(), renderJob(before)); err != nil || r.render(t, rec, before.ID).Status != voice.RenderAvailable {
		t.Errorf("with room again: %v", err)
	}
}

// TestNoPartStays: what breaks off while it is written leaves nothing, neither in
// the work directory nor open.
func TestNoPartStays(t *testing.T) {
	r := newRig(t)
	var files []*os.File
	for name, breaks := range map[string]func() error{
		"an error": func() error { return os.ErrInvalid },
		"a panic":  func() error { panic("ouch") },
	} {
		func() {
			defer func() {
				if fault := recover(); (fault != nil) != (name == "a panic") {
					t.Errorf("%s: %v", name, fault)
				}
			}()
			path, err := r.scratch("x", func(f *os.File) error { files = append(files, f); return breaks() })
			if path != "" || !errors.Is(err, os.ErrInvalid) {
				t.Errorf("%s: %q, %v", name, path, err)
			}
		}()
	}
	for _, f := range files {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a file is open: %v", err)
		}
	}
	r.nothingAtWork(t)
}

// TestQueueIsSeen: what is to be made, how much audio, and for how long it has
// waited.
func TestQueueIsSeen(t *testing.T) {
	r := newRig(t)
	rec := r.row(t, voice.RecordingCompleted)
	rec.StartedAt, rec.EndedAt = time.Now().Add(-time.Hour), time.Now().Add(-30*time.Minute)
	r.update(t, func(tx *store.Tx) error { return tx.PutRecording(rec) })
	done := r.published(t)
	if _, err := r.Again(t.Context(), done, voice.Render{Format: voice.FormatWAV}); err != nil {
		t.Fatal(err)
	}
	found, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range found {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	if values["tapedeck_publish_queue master"] != 1 || values["tapedeck_publish_queue again"] != 1 || values["tapedeck_publish_queue format"] != 0 ||
		int(values["tapedeck_publish_render_debt_seconds"]) != 1800 || values["tapedeck_publish_queue_oldest_seconds"] < 1799 {
		t.Errorf("figures: %v", values)
	}
}
