package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/archive"
	"tapedeck/internal/background"
	"tapedeck/internal/blob"
	"tapedeck/internal/blob/fileblob"
	"tapedeck/internal/jobs"
	"tapedeck/internal/journal"
	"tapedeck/internal/keys"
	"tapedeck/internal/recorder"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// rig is a publisher over real stores in a temporary directory.
type rig struct {
	*Publisher
	dir     string // of the journals
	storage string
	call    voice.Call

	key      *keys.Key
	registry *prometheus.Registry
	wake     func()      // what Wake does; nil = nothing
	sign     func()      // called before a receipt is signed; nil = nothing
	driver   blob.Driver // of the storage
}

func (r *rig) woken() {
	if r.wake != nil {
		r.wake()
	}
}

// Sign is the Signer of the rig: the key's, with a look at the moment before.
func (r *rig) Sign(receipt []byte) ([]byte, error) {
	if r.sign != nil {
		r.sign()
	}
	return r.key.Sign(receipt)
}

func newRig(t testing.TB) *rig { return newRigIn(t, t.TempDir()) }

// newRigIn opens what an earlier rig left in the directory.
func newRigIn(t testing.TB, root string) *rig {
	t.Helper()
	testkit.Timeout(t, 2*time.Minute)
	r := &rig{dir: filepath.Join(root, "journals"), storage: filepath.Join(root, "recordings")}
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(root, "db")})
	if err != nil {
		t.Fatal(err)
	}
	driver, err := fileblob.New(fileblob.Options{Dir: r.storage})
	if err != nil {
		t.Fatal(err)
	}
	r.driver = driver
	bucket := blob.New(driver)
	kept, err := archive.New(archive.Options{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recorder.New(recorder.Options{Dir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(rec.Close(), bucket.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	if r.key, err = keys.Open(root); err != nil {
		t.Fatal(err)
	}
	pool, err := background.New(background.Options{Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	r.registry = prometheus.NewRegistry()
	if r.Publisher, err = New(Options{
		Background: pool, Registerer: r.registry, Wake: func() { r.woken() },
		DB: db, Recorder: rec, Archive: kept, Signer: r, WorkDir: filepath.Join(root, "work"), KeepJournal: time.Hour, Software: "test",
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	r.call = voice.Call{
		ID: voice.CallID(store.NewID()), Workspace: voice.WorkspaceID(store.NewID()), Channel: voice.ChannelID(store.NewID()),
		From: "1", To: "2", Direction: voice.Incoming, Type: voice.CallPSTN, Status: voice.CallOngoing, CreatedAt: now, UpdatedAt: now,
	}
	r.update(t, func(tx *store.Tx) error {
		if err := tx.InsertWorkspace(voice.Workspace{ID: r.call.Workspace, Name: "w", CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		if err := tx.InsertChannel(voice.Channel{ID: r.call.Channel, Workspace: r.call.Workspace, Number: string(r.call.Channel), CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.PutCall(r.call)
	})
	return r
}

func (r *rig) update(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := r.o.DB.Update(context.WithoutCancel(t.Context()), fn); err != nil {
		t.Fatal(err)
	}
}

// row stores a recording in a status.
func (r *rig) row(t testing.TB, status voice.RecordingStatus) voice.Recording {
	t.Helper()
	now := time.Now().UTC()
	rec := voice.Recording{
		ID: voice.RecordingID(store.NewID()), Workspace: r.call.Workspace, Channel: r.call.Channel, Call: r.call.ID,
		Status: status, Origin: voice.OriginCommandRecordCall, Stereo: true, MaxLength: time.Hour,
		Direction: voice.Incoming, From: "1", To: "2", CreatedAt: now, UpdatedAt: now,
	}
	r.update(t, func(tx *store.Tx) error { return tx.PutRecording(rec) })
	return rec
}

func (r *rig) load(t testing.TB, id voice.RecordingID) voice.Recording {
	t.Helper()
	var rec voice.Recording
	err := r.o.DB.View(t.Context(), func(tx *store.Tx) (err error) {
		rec, err = tx.RecordingByID(id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// stage says how far a journal got.
type stage int

const (
	opened stage = iota
	begun
	stopped
)

// journal writes one second of a journal, up to a stage.
func (r *rig) journal(t *testing.T, id voice.RecordingID, upTo stage) {
	t.Helper()
	wall, length := time.Now().Add(-time.Minute), time.Second
	w, err := journal.Create(r.o.Recorder.Path(id), journal.Header{
		Recording: string(id), Workspace: string(r.call.Workspace), Channel: string(r.call.Channel), Call: string(r.call.ID),
		Stereo: true, MaxLength: time.Hour, SampleRate: 8000, Wall: wall,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	track := uint16(0)
	errs := []error{w.Control(journal.Entry{Kind: journal.KindTrackOpened, Track: track, Detail: journal.Detail{
		Call: string(r.call.ID), Party: "1", Role: "caller", Codecs: []journal.Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}},
	}})}
	if upTo >= begun {
		errs = append(errs, w.Control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: wall}}))
		for i := range 50 {
			at := time.Duration(i+1) * 20 * time.Millisecond
			errs = append(errs, w.Packet(at, track, &journal.Packet{Seq: uint16(i), Time: uint32(160 * i), SSRC: 7, Payload: bytes.Repeat([]byte{0x40}, 160)}))
		}
	}
	if upTo >= stopped {
		errs = append(errs, w.Control(journal.Entry{Kind: journal.KindStop, At: length, Detail: journal.Detail{
			Cause: string(voice.EndCallEnded), Offset: length, Wall: wall,
		}}))
	}
	if err := errors.Join(append(errs, w.Flush(), w.Sync(), w.Close())...); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) job(rec voice.Recording) store.Job {
	return store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: time.Now()}
}

func TestPublishTwiceGivesOneFile(t *testing.T) {
	r := newRig(t)
	rec := r.row(t, voice.RecordingCompleted)
	r.journal(t, rec.ID, stopped)
	for range 2 {
		if err := r.Publish(t.Context(), r.job(rec)); err != nil {
			t.Fatal(err)
		}
	}
	got := r.load(t, rec.ID)
	if got.Status != voice.RecordingAvailable || got.Duration != time.Second || len(got.Channels) == 0 || got.File == "" || got.Receipt == "" {
		t.Fatalf("recording is %+v", got)
	}
	f, info, err := r.o.Archive.Open(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	w, err := wav.NewReader(f)
	if err != nil || w.Frames() != 8000 || info.Size != got.Size {
		t.Fatalf("file has %d frames, %d bytes: %v; the row says %d", w.Frames(), info.Size, err, got.Size)
	}
	if left, err := filepath.Glob(filepath.Join(r.o.WorkDir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
}

func TestPublishWithoutAReadableJournalFails(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"junk":    func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("junk"), 999), 0o600) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			rec := r.row(t, voice.RecordingCompleted)
			r.journal(t, rec.ID, stopped)
			if err := damage(r.o.Recorder.Path(rec.ID)); err != nil {
				t.Fatal(err)
			}
			if err := r.Publish(t.Context(), r.job(rec)); err != nil {
				t.Fatal(err)
			}
			if got := r.load(t, rec.ID); got.Status != voice.RecordingFailed || got.Problem == "" {
				t.Fatalf("recording is %s, problem %q", got.Status, got.Problem)
			}
		})
	}
}

// A storage that is away is no reason to give a recording up.
func TestPublishIsTriedAgainWhenStorageIsAway(t *testing.T) {
	r := newRig(t)
	rec := r.row(t, voice.RecordingCompleted)
	r.journal(t, rec.ID, stopped)
	if err := os.RemoveAll(r.storage); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.storage, nil, 0o600); err != nil { // a file where the folder was
		t.Fatal(err)
	}
	if err := r.Publish(t.Context(), r.job(rec)); err == nil {
		t.Fatal("published without a storage")
	}
	if got := r.load(t, rec.ID); got.Status != voice.RecordingCompleted {
		t.Fatalf("recording is %s, want completed", got.Status)
	}
}

func TestRecoverEndsEveryRecording(t *testing.T) {
	none := stage(-1)
	cases := []struct {
		name    string
		status  voice.RecordingStatus
		journal stage
		want    voice.RecordingStatus // after the job that follows
	}{
		{"crash before the answer", voice.RecordingAccepted, opened, voice.RecordingAbsent},
		{"crash before the row heard of the beginning", voice.RecordingAccepted, begun, voice.RecordingAvailable},
		{"crash in the middle", voice.RecordingOngoing, begun, voice.RecordingAvailable},
		{"crash while paused", voice.RecordingPaused, begun, voice.RecordingAvailable},
		{"crash between the stop and the row", voice.RecordingOngoing, stopped, voice.RecordingAvailable},
		{"crash before the file was made", voice.RecordingCompleted, stopped, voice.RecordingAvailable},
		{"journal never made", voice.RecordingAccepted, none, voice.RecordingAbsent},
		{"journal gone", voice.RecordingOngoing, none, voice.RecordingFailed},
		{"begin never reached the disk", voice.RecordingOngoing, opened, voice.RecordingAbsent},
	}
	r := newRig(t) // one crash for all
	recs := make([]voice.Recording, len(cases))
	for i, c := range cases {
		rec := r.row(t, c.status)
		if c.journal != none {
			r.journal(t, rec.ID, c.journal)
		}
		recs[i] = rec
	}
	if err := r.Recover(t.Context(), r.dir); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if r.load(t, recs[i].ID).Status != voice.RecordingFailed {
			if err := r.Publish(t.Context(), r.job(recs[i])); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		got := r.load(t, recs[i].ID)
		if got.Status != c.want || got.EndCause != voice.EndNodeLost || got.EndedAt.IsZero() {
			t.Errorf("%s: recording is %s (%s), ended %v; want %s", c.name, got.Status, got.EndCause, got.EndedAt, c.want)
		}
		if c.want == voice.RecordingAvailable && got.Duration != time.Second {
			t.Errorf("%s: file is %v long, want 1 s", c.name, got.Duration)
		}
		recs[i] = got
	}
	if err := r.Recover(t.Context(), r.dir); err != nil { // again changes nothing
		t.Fatal(err)
	}
	for i, c := range cases {
		if again := r.load(t, recs[i].ID); again.Status != recs[i].Status || again.EndCause != recs[i].EndCause {
			t.Errorf("%s: a second recovery made it %s (%s)", c.name, again.Status, again.EndCause)
		}
	}
}

// A journal whose row was never committed is adopted: what was recorded is not
// thrown away.
func TestRecoverAdoptsAJournalWithoutARow(t *testing.T) {
	r := newRig(t)
	id := voice.RecordingID(store.NewID())
	r.journal(t, id, begun)
	if err := r.Recover(t.Context(), r.dir); err != nil {
		t.Fatal(err)
	}
	rec := r.load(t, id)
	if rec.Status != voice.RecordingCompleted || rec.Call != r.call.ID || !rec.Stereo || rec.From != "1" {
		t.Fatalf("adopted as %+v", rec)
	}
	if err := r.Publish(t.Context(), r.job(rec)); err != nil {
		t.Fatal(err)
	}
	if got := r.load(t, id); got.Status != voice.RecordingAvailable {
		t.Fatalf("recording is %s", got.Status)
	}
}

// A journal that the disk cannot read now may be readable tomorrow.
func TestRecoverKeepsWhatItCannotRead(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(r.dir, store.NewID()+journal.Extension)
	if err := os.Symlink(filepath.Join(r.dir, "not mounted"), path); err != nil {
		t.Fatal(err)
	}
	if err := r.Recover(t.Context(), r.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the journal is gone: %v", err)
	}
}

func TestSweepDeletesOnlyWhatIsSafe(t *testing.T) {
	for status, gone := range map[voice.RecordingStatus]bool{
		voice.RecordingAbsent: true, voice.RecordingFailed: false, voice.RecordingCompleted: false,
	} {
		t.Run(string(status), func(t *testing.T) {
			r := newRig(t)
			rec := r.row(t, status)
			r.journal(t, rec.ID, stopped)
			err := r.Sweep(t.Context(), r.job(rec))
			if r.hasJournal(rec.ID) == gone || (err == nil) != gone {
				t.Fatalf("sweep of a recording that is %s: %v; journal there: %v", status, err, !gone)
			}
		})
	}
}

func (r *rig) hasJournal(id voice.RecordingID) bool {
	_, err := os.Stat(r.o.Recorder.Path(id))
	return err == nil
}

// published makes an available recording, with its journal still there.
func (r *rig) published(t *testing.T) voice.Recording {
	t.Helper()
	rec := r.row(t, voice.RecordingCompleted)
	r.journal(t, rec.ID, stopped)
	if err := r.Publish(t.Context(), r.job(rec)); err != nil {
		t.Fatal(err)
	}
	return r.load(t, rec.ID)
}

// TestJournalGoesAfterTheFileIsSeen: the journal is deleted only after the
// whole file was read from the storage once more, and was the one that was put
// there.
func TestJournalGoesAfterTheFileIsSeen(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		spoil func(path string) error
		gone  bool
	}{
		"whole":        {func(string) error { return nil }, true},
		"missing":      {os.Remove, false},
		"shorter":      {func(path string) error { return os.Truncate(path, 1000) }, false},
		"another byte": {flipByte, false},
	} {
		t.Run(name, func(t *testing.T) {
			rec := r.published(t)
			if err := c.spoil(filepath.Join(r.storage, filepath.FromSlash(rec.File))); err != nil {
				t.Fatal(err)
			}
			err := r.Sweep(t.Context(), r.job(rec))
			if r.hasJournal(rec.ID) == c.gone || isPermanent(err) == c.gone {
				t.Fatalf("sweep: %v; journal there: %v", err, r.hasJournal(rec.ID))
			}
			if got := r.load(t, rec.ID).Problem; (got == "") != c.gone {
				t.Errorf("the recording's problem is %q", got)
			}
		})
	}
}

func flipByte(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

func TestLive(t *testing.T) {
	r := newRig(t)
	rec := r.row(t, voice.RecordingOngoing)
	if _, _, err := r.Live(t.Context(), rec, voice.FormatWAV); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a journal: %v", err)
	}
	r.journal(t, rec.ID, begun)
	f, _, err := r.Live(t.Context(), rec, voice.FormatWAV)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewReader(f)
	if err != nil || w.Frames() != 8000 {
		t.Fatalf("%v; %d frames", err, w.Frames())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(r.o.WorkDir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLiveIsShared: however many ask for a running recording at once, one file of
// it waits for a place; each reads it from its own start, and who goes away takes
// nobody with him.
func TestLiveIsShared(t *testing.T) {
	r := newRig(t)
	testkit.NoLeaks(t)
	rec := r.row(t, voice.RecordingOngoing)
	r.journal(t, rec.ID, begun)
	pool, err := background.New(background.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	r.o.Background = pool
	free, ended := make(chan struct{}), make(chan error, 1) // free is closed by the test
	busy := make(chan struct{})                             // closed when the only place is taken
	go func() { ended <- pool.Do(t.Context(), func(context.Context) error { close(busy); <-free; return nil }) }()
	<-busy
	type live struct {
		file io.ReadSeekCloser
		sum  string
		err  error
	}
	ask := func(ctx context.Context) chan live {
		out := make(chan live, 1) // sent to once
		go func() {
			f, sum, err := r.Live(ctx, rec, voice.FormatFLAC)
			out <- live{f, sum, err}
		}()
		return out
	}
	waiting := func(others int) {
		testkit.Eventually(t, time.Minute, func() bool {
			r.snapshots.mu.Lock()
			defer r.snapshots.mu.Unlock()
			for _, f := range r.snapshots.open {
				return f.others == others
			}
			return false
		})
	}
	leaderCtx, leaderGoes := context.WithCancel(t.Context())
	leader := ask(leaderCtx)
	waiting(0)
	otherCtx, otherGoes := context.WithCancel(t.Context())
	other := ask(otherCtx)
	waiting(1)
	var all []chan live
	for range 5 {
		all = append(all, ask(t.Context()))
	}
	waiting(6)
	otherGoes()
	if l := <-other; !errors.Is(l.err, context.Canceled) {
		t.Errorf("one who went away: %v", l.err)
	}
	leaderGoes()
	if l := <-leader; !errors.Is(l.err, context.Canceled) {
		t.Errorf("the first, who went away: %v", l.err)
	}
	waiting(4) // another took over
	close(free)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var sum string
	for i, c := range all {
		l := <-c
		if l.err != nil {
			t.Fatal(l.err)
		}
		data, err := io.ReadAll(l.file)
		// Closed twice, and before others have read it.
		if err := errors.Join(err, l.file.Close(), l.file.Close()); err != nil || !bytes.HasPrefix(data, []byte("fLaC")) {
			t.Errorf("reader %d: %d bytes, %v", i, len(data), err)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != l.sum || sum != "" && sum != l.sum {
			t.Errorf("reader %d has another file: %s, said is %s, the first was %s", i, hex.EncodeToString(got[:]), l.sum, sum)
		}
		sum = l.sum
	}
	if len(r.snapshots.open) != 0 {
		t.Error("somebody is still waited for")
	}
}

// TestLiveWaitsALittle: without a place in time, who asks is told to come again.
func TestLiveWaitsALittle(t *testing.T) {
	r := newRig(t)
	testkit.NoLeaks(t)
	rec := r.row(t, voice.RecordingOngoing)
	r.journal(t, rec.ID, begun)
	pool, err := background.New(background.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	r.o.Background, r.o.Patience = pool, time.Millisecond
	err = pool.Do(t.Context(), func(ctx context.Context) error {
		if _, _, err := r.Live(ctx, rec, voice.FormatWAV); voice.CodeOf(err) != voice.CodeNotReady {
			t.Errorf("the file: %v", err)
		}
		if _, err := r.LivePeaks(ctx, rec, 10); voice.CodeOf(err) != voice.CodeNotReady {
			t.Errorf("the peaks: %v", err)
		}
		// A recording that ended does not wait for anybody.
		if other := r.published(t); other.Status != voice.RecordingAvailable {
			t.Errorf("a master is %s", other.Status)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAJobForNothingIsGivenUp(t *testing.T) {
	r := newRig(t)
	for _, ref := range []string{"", "x", string(r.call.Workspace) + "/" + store.NewID()} {
		if err := r.Publish(t.Context(), store.Job{Kind: voice.JobPublish, Ref: ref}); !isPermanent(err) {
			t.Errorf("job for %q: %v, want a permanent error", ref, err)
		}
	}
}

// isPermanent reports whether the runner will give the job up.
func isPermanent(err error) bool {
	marked := reflect.TypeOf(jobs.Permanent(errors.New("")))
	for _, e := range unjoin(err) {
		if reflect.TypeOf(e) == marked {
			return true
		}
	}
	return false
}

// unjoin takes apart what errors.Join made.
func unjoin(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}
