package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/archive"
	"tapedeck/internal/background"
	"tapedeck/internal/jobs"
	"tapedeck/internal/recorder"
	"tapedeck/internal/render"
	"tapedeck/internal/render/workshop"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Publisher works with. DB, Recorder, Archive, Signer,
// Background and WorkDir are needed.
type Options struct {
	DB       *store.DB
	Recorder *recorder.Recorder
	Archive  *archive.Archive
	// Signer signs every receipt that is stored.
	Signer Signer
	// WorkDir takes files that are being made. On the file system of the
	// archive, publishing is a rename.
	WorkDir string
	// KeepJournal is how long a journal is kept after its file is safe.
	KeepJournal time.Duration
	// Software is our name and version, for the receipt.
	Software string
	// Background has the places in which files are made, one after the other.
	Background *background.Pool
	// Workshop makes them; nil = on the goroutine that has the place.
	Workshop Workshop
	// Wake tells the runner of the jobs that one was committed; nil = it finds out
	// by itself.
	Wake func()
	// Patience is how long a request waits for a file that is being made, before
	// it is told to come again. 0 = 20 s.
	Patience time.Duration

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Signer puts the installation's signature on a receipt, an indented JSON
// object. What it returns is stored and served as it is.
type Signer interface {
	Sign(receipt []byte) ([]byte, error)
}

// Workshop does what is heavy in the making of a file: it reads journals and files
// through, and writes what is made of them. *workshop.Here does it in this process,
// *workshop.Crew in others.
type Workshop interface {
	Make(ctx context.Context, o *workshop.Order) (workshop.Result, error)
}

// Publisher makes recordings available.
type Publisher struct {
	o        Options
	metrics  *metrics
	settled  settled  // tells those who wait for a render
	progress progress // of the renders that are being made

	snapshots snapshots // of running recordings, that are about to be made
}

// New makes a Publisher, and empties WorkDir of what a crash left in it.
func New(o Options) (*Publisher, error) {
	if o.DB == nil || o.Recorder == nil || o.Archive == nil || o.Signer == nil || o.Background == nil || o.WorkDir == "" {
		return nil, errors.New("publish: DB, Recorder, Archive, Signer, Background and WorkDir are needed")
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Workshop == nil {
		o.Workshop = &workshop.Here{}
	}
	if o.Patience <= 0 {
		o.Patience = 20 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.WorkDir, 0o700); err != nil {
		return nil, fmt.Errorf("make work directory: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(o.WorkDir, "*.partial"))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("clear work directory: %w", err)
		}
	}
	return &Publisher{o: o, metrics: newMetrics(o.Registerer, o.DB)}, nil
}

// Publish is the handler of voice.JobPublish. It may run again for a recording
// that it published before: the result is the same file.
func (p *Publisher) Publish(ctx context.Context, job store.Job) error {
	rec, err := p.recording(ctx, job.Ref)
	if err != nil {
		return err
	}
	switch rec.Status {
	case voice.RecordingCompleted:
	case voice.RecordingAbsent:
		return removeIfThere(p.o.Recorder.Path(rec.ID))
	case voice.RecordingAvailable, voice.RecordingFailed:
		return nil
	default:
		return fmt.Errorf("recording %s is still %s", rec.ID, rec.Status)
	}
	start := time.Now()
	err = p.publish(ctx, rec)
	p.metrics.renders.WithLabelValues(outcome(err)).Inc()
	p.metrics.seconds.Observe(time.Since(start).Seconds())
	switch {
	case permanent(err):
		return p.fail(ctx, rec, err)
	case err != nil && ctx.Err() == nil:
		return errors.Join(err, p.note(ctx, rec, err))
	}
	return err
}

func outcome(err error) string {
	if err != nil {
		return "failed"
	}
	return "published"
}

// permanent reports whether trying again cannot make a file of the journal.
func permanent(err error) bool {
	return errors.Is(err, errNoJournal) || errors.Is(err, render.ErrNotBegun)
}

// publish renders the journal and makes the row available.
func (p *Publisher) publish(ctx context.Context, rec voice.Recording) error {
	now := time.Now().UTC()
	peaks := voice.Render{
		ID: voice.PeaksRender(rec.ID), Workspace: rec.Workspace, Recording: rec.ID,
		Kind: voice.RenderPeaks, Status: voice.RenderAvailable, CreatedAt: now, UpdatedAt: now,
	}
	err := p.o.Background.First(ctx, func(ctx context.Context) error { return p.master(ctx, &rec, &peaks) })
	if err != nil {
		return err
	}
	if rec.Status, err = rec.Status.Next(voice.RecordingPublish); err != nil {
		return err
	}
	rec.Problem, rec.UpdatedAt = "", time.Now().UTC()
	err = p.o.DB.UpdateSoon(ctx, func(tx *store.Tx) error {
		if err := tx.PutRecording(rec); err != nil {
			return err
		}
		if err := tx.PutRender(peaks); err != nil {
			return err
		}
		if err := transcribe(tx, &rec); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobSweep, Ref: rec.Ref(), RunAt: rec.UpdatedAt.Add(p.o.KeepJournal)})
	})
	if err != nil {
		return fmt.Errorf("store recording %s: %w", rec.ID, err)
	}
	p.o.Logger.Info("recording available", "recording", rec.ID, "call", rec.Call, "duration", rec.Duration.String(), "endCause", rec.EndCause)
	return nil
}

// transcribe has what is said in a recording written down, where that was asked for
// when the recording was.
func transcribe(tx *store.Tx, rec *voice.Recording) error {
	if rec.Transcribe == "" {
		return nil
	}
	t := voice.NewTranscription(voice.TranscriptionID(store.NewID()), rec, rec.Transcribe, rec.UpdatedAt)
	if err := tx.PutTranscription(t); err != nil {
		return err
	}
	return tx.InsertJob(store.Job{Kind: voice.JobTranscribe, Ref: t.Ref()})
}

// master makes the WAV file, its receipt and its peaks, stores them, and says in
// rec and peaks where and what they are.
func (p *Publisher) master(ctx context.Context, rec *voice.Recording, peaks *voice.Render) error {
	var receipt render.Receipt
	var wav, picture string
	defer func() { p.tidy(wav, picture) }()
	var err error
	wav, err = p.scratch(string(rec.ID)+".wav", func(f *os.File) (err error) {
		picture, err = p.scratch(string(peaks.ID), func(points *os.File) (err error) {
			receipt, err = p.render(ctx, rec, p.layout(rec), f, points)
			return err
		})
		return err
	})
	if err != nil {
		return err
	}
	account, err := p.sign(receipt)
	if err != nil {
		return err
	}
	rec.Size, rec.SHA256 = receipt.File.Size, receipt.File.SHA256 // the archive compares
	var file, points archive.File
	err = p.o.Archive.Together(func(a *archive.Archive) (err error) {
		if file, err = a.Store(ctx, *rec, wav, account); err == nil {
			points, err = a.StoreRender(ctx, *rec, *peaks, picture, nil)
		}
		return err
	})
	if err != nil {
		return err
	}
	rec.File, rec.Receipt = file.Key, file.ReceiptKey
	rec.Duration, rec.Channels = receipt.Duration(), receipt.Parties
	peaks.File, peaks.Size, peaks.SHA256 = points.Key, points.Size, points.SHA256
	return nil
}

// fail writes down that no file can be made. The journal stays for a person to
// look at.
func (p *Publisher) fail(ctx context.Context, rec voice.Recording, cause error) error {
	next, err := rec.Status.Next(voice.RecordingFail)
	if err != nil {
		return err
	}
	p.o.Logger.Error("recording failed: its journal cannot be rendered", "recording", rec.ID, "call", rec.Call, "error", cause)
	rec.Status, rec.Problem, rec.UpdatedAt = next, problem(cause), time.Now().UTC()
	return p.o.DB.Update(ctx, func(tx *store.Tx) error { return tx.PutRecording(rec) })
}

// note lets people see why a recording is not available yet, or what is wrong
// with it. The runner logs the cause.
func (p *Publisher) note(ctx context.Context, rec voice.Recording, cause error) error {
	return p.o.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Recording(rec.Workspace, rec.ID)
		if err != nil || now.Status != rec.Status || now.Problem == problem(cause) {
			return err
		}
		now.Problem, now.UpdatedAt = problem(cause), time.Now().UTC()
		return tx.PutRecording(now)
	})
}

// errWaiting means that the journal is needed once more.
var errWaiting = errors.New("a render of it is not made yet")

// Sweep is the handler of voice.JobSweep: it deletes the journal of a recording
// whose file is safe. The whole file is read again before: the journal is the
// last that there is of the call beside it.
func (p *Publisher) Sweep(ctx context.Context, job store.Job) error {
	rec, err := p.recording(ctx, job.Ref)
	if err != nil {
		return err
	}
	switch rec.Status {
	case voice.RecordingAbsent:
		return removeIfThere(p.o.Recorder.Path(rec.ID))
	case voice.RecordingAvailable:
	default:
		return jobs.Permanent(fmt.Errorf("recording %s is %s: its journal stays", rec.ID, rec.Status))
	}
	err = p.o.Background.Do(ctx, func(ctx context.Context) error { return p.o.Archive.Verify(ctx, rec) })
	if damaged(err) {
		p.metrics.damaged.Inc()
		return errors.Join(p.note(ctx, rec, err), jobs.Permanent(fmt.Errorf("%w: its journal stays at %s", err, p.o.Recorder.Path(rec.ID))))
	}
	if err != nil {
		return err
	}
	// In a transaction that writes, so that nobody can ask for a render of the
	// journal between the look and the removal.
	return p.o.DB.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.RendersOf(rec.ID)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.Kind == voice.RenderAgain && r.Status == voice.RenderAccepted {
				return fmt.Errorf("journal of recording %s: %w", rec.ID, errWaiting)
			}
		}
		return removeIfThere(p.o.Recorder.Path(rec.ID))
	})
}

// Forget deletes what is kept of a recording outside the archive: its journal.
// It is idempotent.
func (p *Publisher) Forget(_ context.Context, id voice.RecordingID) error {
	return removeIfThere(p.o.Recorder.Path(id))
}

func (p *Publisher) recording(ctx context.Context, ref string) (rec voice.Recording, err error) {
	ws, id, err := voice.SplitRef(ref)
	if err != nil {
		return rec, jobs.Permanent(err)
	}
	err = p.o.DB.View(ctx, func(tx *store.Tx) error {
		rec, err = tx.Recording(ws, id)
		return err
	})
	if voice.CodeOf(err) == voice.CodeNotFound {
		return rec, jobs.Permanent(fmt.Errorf("recording %s: %w", ref, err))
	}
	return rec, err
}
