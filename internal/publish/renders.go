package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/blob"
	"tapedeck/internal/jobs"
	"tapedeck/internal/render"
	"tapedeck/internal/render/workshop"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// maxAttempts is how often a render is tried: with the runner's waits, which
// double from a second to five minutes, for a quarter of an hour. A recording
// itself is tried for ever; a render can be asked for again.
const maxAttempts = 10

// Render is the handler of voice.JobRender. It may run again for a render that
// it made before. A render whose recording was deleted meanwhile leaves nothing
// behind.
func (p *Publisher) Render(ctx context.Context, job store.Job) error {
	ws, recording, id, err := voice.SplitRenderRef(job.Ref)
	if err != nil {
		return jobs.Permanent(err)
	}
	var rec voice.Recording
	var r voice.Render
	asked := true
	err = p.o.DB.View(ctx, func(tx *store.Tx) (err error) {
		if rec, err = tx.Recording(ws, recording); err != nil {
			return err
		}
		r, err = tx.Render(recording, id)
		if voice.CodeOf(err) == voice.CodeNotFound {
			asked, err = false, nil
		}
		return err
	})
	if voice.CodeOf(err) == voice.CodeNotFound {
		return jobs.Permanent(fmt.Errorf("render %s: %w", job.Ref, err))
	}
	if err != nil {
		return err
	}
	defer p.settled.tell()
	if !asked || rec.Status != voice.RecordingAvailable {
		return p.o.Archive.EraseRender(ctx, rec, id)
	}
	if r.Status != voice.RenderAccepted {
		return nil
	}
	err = p.makeRender(ctx, rec, r)
	if err != nil && ctx.Err() != nil {
		return err // broken off: it is done again
	}
	p.metrics.made.WithLabelValues(string(r.Kind), outcome(err)).Inc()
	if err == nil {
		return nil
	}
	if cannotBeMade(err) || job.Attempts >= maxAttempts {
		p.o.Logger.Error("render failed", "recording", rec.ID, "render", r.ID, "kind", r.Kind, "format", r.Format, "attempts", job.Attempts, "error", err)
		r.Status = voice.RenderFailed
		return p.settle(ctx, rec, r, err)
	}
	return errors.Join(err, p.settle(ctx, rec, r, err))
}

// cannotBeMade reports whether trying again cannot make a render.
func cannotBeMade(err error) bool {
	return permanent(err) || errors.Is(err, render.ErrFormatUnavailable) ||
		errors.Is(err, wav.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, blob.ErrNotExist)
}

// errDeleted means that the recording was deleted while a render was made.
var errDeleted = errors.New("the recording was deleted")

// settle writes down how a render went, unless its recording was deleted.
func (p *Publisher) settle(ctx context.Context, rec voice.Recording, r voice.Render, cause error) error {
	r.UpdatedAt, r.Problem = time.Now().UTC(), ""
	if cause != nil {
		r.Problem = problem(cause)
	}
	return p.o.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Recording(rec.Workspace, rec.ID)
		if err != nil {
			return err
		}
		// A deletion says so before it looks for what there is to delete.
		if now.Status != voice.RecordingAvailable {
			return errDeleted
		}
		return tx.PutRender(r)
	})
}

// makeRender makes the file, stores it and says so.
func (p *Publisher) makeRender(ctx context.Context, rec voice.Recording, r voice.Render) error {
	defer p.progress.end(r.ID)
	// There was room when it was asked for, but others may have taken it.
	if err := p.room(); err != nil {
		return err
	}
	err := p.o.Background.Do(ctx, func(ctx context.Context) (err error) {
		var path string
		var account []byte
		if r.Kind == voice.RenderAgain {
			path, account, err = p.again(ctx, &rec, &r)
		} else {
			path, err = p.derive(ctx, rec, r)
		}
		if err != nil {
			return err
		}
		defer p.tidy(path)
		file, err := p.o.Archive.StoreRender(ctx, rec, r, path, account)
		r.File, r.Receipt, r.Size, r.SHA256 = file.Key, file.ReceiptKey, file.Size, file.SHA256
		return err
	})
	if err != nil {
		return fmt.Errorf("make render %s: %w", r.ID, err)
	}
	r.Status = voice.RenderAvailable
	err = p.settle(ctx, rec, r, nil)
	if errors.Is(err, errDeleted) {
		return p.o.Archive.EraseRender(ctx, rec, r.ID)
	}
	if err != nil {
		return fmt.Errorf("store render %s: %w", r.ID, err)
	}
	p.o.Logger.Info("render available", "recording", rec.ID, "render", r.ID, "kind", r.Kind, "format", r.Format, "size", r.Size)
	return nil
}

// derive makes what is made of the master: another format, or its peaks.
func (p *Publisher) derive(ctx context.Context, rec voice.Recording, r voice.Render) (path string, err error) {
	master, _, err := p.o.Archive.Open(ctx, rec)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, master.Close()) }()
	return p.scratch(string(r.ID), func(f *os.File) error {
		if r.Kind == voice.RenderPeaks {
			_, err := p.o.Workshop.Make(ctx, &workshop.Order{Source: master, Peaks: f})
			return err
		}
		return p.convert(ctx, master, f, r.Format, p.progress.of(r.ID))
	})
}

// again renders the journal once more, as the render asks for it, with a receipt
// that speaks of the file that comes out.
func (p *Publisher) again(ctx context.Context, rec *voice.Recording, r *voice.Render) (path string, account []byte, err error) {
	layout := p.layout(rec)
	layout.Stereo, layout.Swap, layout.Progress = r.Stereo, r.Swap, p.progress.of(r.ID)
	var receipt render.Receipt
	path, err = p.scratch(string(r.ID)+".wav", func(f *os.File) (err error) {
		receipt, err = p.render(ctx, rec, layout, f, nil)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	whole := false
	defer func() {
		if !whole { // a panic included
			p.tidy(path)
		}
	}()
	if r.Format != voice.FormatWAV {
		master := path
		path, err = p.reformat(ctx, master, r)
		p.tidy(master)
		if err != nil {
			return "", nil, err
		}
		info, err := p.sumOf(ctx, path)
		if err != nil {
			return "", nil, err
		}
		receipt.File = render.FileDigest{Format: r.Format, Size: info.Size, SHA256: info.SHA256}
	}
	if account, err = p.sign(receipt); err != nil {
		return "", nil, err
	}
	r.Size, r.SHA256, r.Duration = receipt.File.Size, receipt.File.SHA256, receipt.Duration() // the archive compares
	whole = true
	return path, account, nil
}

// reformat converts a scratch file.
func (p *Publisher) reformat(ctx context.Context, master string, r *voice.Render) (path string, err error) {
	in, err := os.Open(filepath.Clean(master))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return p.scratch(string(r.ID)+r.Format.Extension(), func(f *os.File) error {
		return p.convert(ctx, in, f, r.Format, p.progress.of(r.ID))
	})
}

// sumOf sums a scratch file.
func (p *Publisher) sumOf(ctx context.Context, path string) (workshop.Result, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return workshop.Result{}, err
	}
	made, err := p.sum(ctx, f)
	return made, errors.Join(err, f.Close())
}
