package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/archive"
	"tapedeck/internal/jobs"
	"tapedeck/internal/journal"
	"tapedeck/internal/recorder"
	"tapedeck/internal/render"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Publisher works with. DB, Recorder, Archive, Signer and
// WorkDir are needed.
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

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Signer puts the installation's signature on a receipt, an indented JSON
// object. What it returns is stored and served as it is.
type Signer interface {
	Sign(receipt []byte) ([]byte, error)
}

// Publisher makes recordings available.
type Publisher struct {
	o       Options
	metrics *metrics
}

// New makes a Publisher, and empties WorkDir of what a crash left in it.
func New(o Options) (*Publisher, error) {
	if o.DB == nil || o.Recorder == nil || o.Archive == nil || o.Signer == nil || o.WorkDir == "" {
		return nil, errors.New("publish: DB, Recorder, Archive, Signer and WorkDir are needed")
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
	if permanent(err) {
		return p.fail(ctx, rec, err)
	}
	return err
}

func outcome(err error) string {
	if err != nil {
		return "failed"
	}
	return "published"
}

// errNoJournal means that there is nothing to make a file of.
var errNoJournal = errors.New("the journal cannot be read")

// permanent reports whether trying again cannot make a file.
func permanent(err error) bool {
	return errors.Is(err, errNoJournal) || errors.Is(err, render.ErrNotBegun)
}

// publish renders the journal and makes the row available.
func (p *Publisher) publish(ctx context.Context, rec voice.Recording) error {
	partial := filepath.Join(p.o.WorkDir, string(rec.ID)+".wav.partial")
	receipt, err := p.render(ctx, rec, partial)
	if err != nil {
		return errors.Join(err, removeIfThere(partial))
	}
	account, err := json.MarshalIndent(receipt, "", "  ")
	if err != nil {
		return fmt.Errorf("write receipt of %s: %w", rec.ID, err)
	}
	if account, err = p.o.Signer.Sign(account); err != nil {
		return fmt.Errorf("sign receipt of %s: %w", rec.ID, err)
	}
	rec.Size, rec.SHA256 = receipt.File.Size, receipt.File.SHA256 // the archive compares
	file, err := p.o.Archive.Store(ctx, rec, partial, account)
	if err != nil {
		return errors.Join(fmt.Errorf("archive recording %s: %w", rec.ID, err), removeIfThere(partial))
	}
	if rec.Status, err = rec.Status.Next(voice.RecordingPublish); err != nil {
		return err
	}
	now := time.Now().UTC()
	rec.File, rec.Receipt = file.Key, file.ReceiptKey
	rec.Duration, rec.Channels = receipt.Duration(), receipt.Parties
	rec.UpdatedAt = now
	err = p.o.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutRecording(rec); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobSweep, Ref: rec.Ref(), RunAt: now.Add(p.o.KeepJournal)})
	})
	if err != nil {
		return fmt.Errorf("store recording %s: %w", rec.ID, err)
	}
	p.o.Logger.Info("recording available", "recording", rec.ID, "call", rec.Call, "duration", rec.Duration.String(), "endCause", rec.EndCause)
	return nil
}

// render makes the WAV master of a journal in a file of its own.
func (p *Publisher) render(ctx context.Context, rec voice.Recording, to string) (receipt render.Receipt, err error) {
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return receipt, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if receipt, err = p.renderTo(ctx, rec, f); err != nil {
		return receipt, err
	}
	return receipt, f.Sync()
}

// renderTo writes the WAV of the recording's journal, as far as it goes.
func (p *Publisher) renderTo(ctx context.Context, rec voice.Recording, f *os.File) (receipt render.Receipt, err error) {
	j, err := journal.Open(p.o.Recorder.Path(rec.ID))
	var corrupt *journal.CorruptError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &corrupt) {
		return receipt, fmt.Errorf("%w: %w", errNoJournal, err)
	}
	if err != nil {
		return receipt, fmt.Errorf("open journal of %s: %w", rec.ID, err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	plan, err := render.Make(j, render.Layout{
		Stereo: rec.Stereo, MaxLength: rec.MaxLength, EndCause: rec.EndCause, Ended: rec.EndedAt, Software: p.o.Software,
	})
	if err != nil {
		return receipt, fmt.Errorf("plan recording %s: %w", rec.ID, err)
	}
	if receipt, err = plan.Write(ctx, f); err != nil {
		return receipt, fmt.Errorf("render recording %s: %w", rec.ID, err)
	}
	return receipt, nil
}

// fail writes down that no file can be made. The journal stays for a person to
// look at.
func (p *Publisher) fail(ctx context.Context, rec voice.Recording, cause error) error {
	next, err := rec.Status.Next(voice.RecordingFail)
	if err != nil {
		return err
	}
	p.o.Logger.Error("recording failed: its journal cannot be rendered", "recording", rec.ID, "call", rec.Call, "error", cause)
	rec.Status, rec.Problem, rec.UpdatedAt = next, cause.Error(), time.Now().UTC()
	return p.o.DB.Update(ctx, func(tx *store.Tx) error { return tx.PutRecording(rec) })
}

// Sweep is the handler of voice.JobSweep: it deletes the journal of a recording
// whose file is safe.
func (p *Publisher) Sweep(ctx context.Context, job store.Job) error {
	rec, err := p.recording(ctx, job.Ref)
	if err != nil {
		return err
	}
	if rec.Status != voice.RecordingAvailable && rec.Status != voice.RecordingAbsent {
		return jobs.Permanent(fmt.Errorf("recording %s is %s: its journal stays", rec.ID, rec.Status))
	}
	return removeIfThere(p.o.Recorder.Path(rec.ID))
}

// Live makes the file of what a recording holds so far. The file is open for
// reading, at its start, and vanishes when it is closed. A recording without a
// journal on this node is fs.ErrNotExist.
func (p *Publisher) Live(ctx context.Context, rec voice.Recording) (*os.File, error) {
	scratch, err := os.CreateTemp(p.o.WorkDir, string(rec.ID)+".live-*.partial")
	if err != nil {
		return nil, err
	}
	// Unlinked while open: nobody has to remember to clean up.
	err = os.Remove(scratch.Name())
	if err == nil {
		_, err = p.renderTo(ctx, rec, scratch)
	}
	if errors.Is(err, render.ErrNotBegun) {
		// Capture begins, but nothing of it has reached the disk yet.
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err == nil {
		_, err = scratch.Seek(0, 0)
	}
	if err != nil {
		return nil, errors.Join(err, scratch.Close())
	}
	return scratch, nil
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

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
