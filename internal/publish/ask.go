package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tapedeck/internal/blob"
	"tapedeck/internal/render"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

const (
	// lookAgain is how often somebody who waits looks whether another process has
	// made the render.
	lookAgain = time.Second
	// failedFor is how long the failure of a format is told to all who ask. Who
	// asks after that has it tried again.
	failedFor = time.Minute
	// maxAgain is how many renders a recording may have beside its master.
	maxAgain = 100
)

// somebodyWaits is when a job is due that a request waits for: before all that
// became due by itself.
func somebodyWaits() time.Time { return time.UnixMicro(1) }

// Format returns the recording's master in another format, made when it is asked
// for the first time: however many ask at once, it is made once. The recording
// must be available. Errors are *voice.Error: CodeFormatUnavailable,
// CodeUnavailable when the disk has no room for it,
// CodeRenderFailed, CodeNotReady when making it takes longer than Patience (it
// goes on), CodeNotFound when the recording was deleted meanwhile.
func (p *Publisher) Format(ctx context.Context, rec voice.Recording, format voice.AudioFormat) (voice.Render, error) {
	if err := p.can(format); err != nil {
		return voice.Render{}, err
	}
	return p.derived(ctx, rec, voice.Render{ID: voice.FormatRender(rec.ID, format), Kind: voice.RenderFormat, Format: format})
}

// Peaks returns the peaks of an available recording, reduced to so many points.
// It fails as Format does.
func (p *Publisher) Peaks(ctx context.Context, rec voice.Recording, points int) (voice.Peaks, error) {
	r, err := p.derived(ctx, rec, voice.Render{ID: voice.PeaksRender(rec.ID), Kind: voice.RenderPeaks})
	if err != nil {
		return voice.Peaks{}, err
	}
	f, _, err := p.o.Archive.OpenRender(ctx, r)
	if err != nil {
		return voice.Peaks{}, err
	}
	out, err := readPeaks(f, points)
	return out, errors.Join(err, f.Close())
}

// can says why a format cannot be made here.
func (p *Publisher) can(format voice.AudioFormat) error {
	err := render.Available(format)
	if err == nil {
		return nil
	}
	return &voice.Error{
		Code: voice.CodeFormatUnavailable, Op: "publish: make " + string(format), Err: err,
		Message: "This server cannot make " + string(format) + " files: " + err.Error(),
	}
}

// room says that the disk has none for what is only asked for: what is left of it
// is for the recordings that run, and for their masters.
func (p *Publisher) room() error {
	err := p.o.Recorder.Room()
	if err == nil {
		return nil
	}
	return &voice.Error{
		Code: voice.CodeUnavailable, Op: "publish: make a file on demand", Err: err, RetryAfter: 30 * time.Second,
		Message: "The server has no room for another file; what there is can be had",
	}
}

// derived returns what is made of the master, and has it made if need be.
func (p *Publisher) derived(ctx context.Context, rec voice.Recording, want voice.Render) (voice.Render, error) {
	r, err := p.look(ctx, rec.ID, want.ID)
	if err != nil && voice.CodeOf(err) != voice.CodeNotFound {
		return r, err
	}
	if err == nil && r.Status == voice.RenderAvailable && p.there(ctx, r) {
		return r, nil
	}
	if err := p.room(); err != nil {
		return r, err
	}
	now := time.Now().UTC()
	want.Workspace, want.Recording, want.Status = rec.Workspace, rec.ID, voice.RenderAccepted
	want.CreatedAt, want.UpdatedAt = now, now
	err = p.o.DB.Update(ctx, func(tx *store.Tx) error {
		current, err := tx.Recording(rec.Workspace, rec.ID)
		if err != nil {
			return err
		}
		if current.Status != voice.RecordingAvailable {
			return voice.NotFound("audio")
		}
		known, err := tx.Render(rec.ID, want.ID)
		switch {
		case err != nil && voice.CodeOf(err) != voice.CodeNotFound:
			return err
		case err != nil:
		case known.Status == voice.RenderAccepted:
			return nil // with its job
		case known.Status == voice.RenderFailed && now.Sub(known.UpdatedAt) < failedFor:
			return nil
		case known.Status == voice.RenderAvailable && known.UpdatedAt != r.UpdatedAt:
			return nil // made since we looked
		}
		if err := tx.PutRender(want); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{Kind: voice.JobRender, Ref: want.Ref(), RunAt: somebodyWaits()})
	})
	if err != nil {
		return want, err
	}
	p.o.Wake()
	return p.Ready(ctx, rec, want.ID)
}

// there reports whether the file of a render is where its row says. Whoever
// needs room may delete what can be made again.
func (p *Publisher) there(ctx context.Context, r voice.Render) bool {
	f, _, err := p.o.Archive.OpenRender(ctx, r)
	if err != nil {
		return !errors.Is(err, blob.ErrNotExist) // what is wrong is told when it is served
	}
	return f.Close() == nil
}

func (p *Publisher) look(ctx context.Context, rec voice.RecordingID, id voice.RenderID) (r voice.Render, err error) {
	err = p.o.DB.View(ctx, func(tx *store.Tx) (err error) {
		r, err = tx.Render(rec, id)
		return err
	})
	return r, err
}

// Ready waits until a render is made, for Patience at most. It fails as Format
// does.
func (p *Publisher) Ready(ctx context.Context, rec voice.Recording, id voice.RenderID) (voice.Render, error) {
	patience := time.NewTimer(p.o.Patience)
	defer patience.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		told := p.settled.next()
		r, err := p.look(ctx, rec.ID, id)
		if err != nil {
			return r, err
		}
		switch r.Status {
		case voice.RenderAvailable:
			return r, nil
		case voice.RenderFailed:
			return r, &voice.Error{Code: voice.CodeRenderFailed, Message: "The file cannot be made: " + r.Problem}
		case voice.RenderAccepted:
		}
		select {
		case <-told:
		case <-again.C:
		case <-patience.C:
			return r, p.notReady(r)
		case <-ctx.Done():
			return r, fmt.Errorf("wait for render %s: %w", id, ctx.Err())
		}
	}
}

func (p *Publisher) notReady(r voice.Render) error {
	e := &voice.Error{Code: voice.CodeNotReady, RetryAfter: p.progress.left(r.ID), Message: "The file is being made: ask again"}
	if r.Problem != "" {
		e.Message = "The file could not be made yet (" + r.Problem + "): it is tried again"
	}
	return e
}

// Again asks for a recording to be rendered once more from its journal. want
// says how (Stereo, Swap, Format). Errors are *voice.Error: CodeJournalGone,
// CodeRecordingNotActive while it is not available, CodeFormatUnavailable,
// CodeConflict when it has too many already.
func (p *Publisher) Again(ctx context.Context, rec voice.Recording, want voice.Render) (voice.Render, error) {
	if err := p.can(want.Format); err != nil {
		return want, err
	}
	if err := p.room(); err != nil {
		return want, err
	}
	now := time.Now().UTC()
	want.ID, want.Workspace, want.Recording = voice.RenderID(store.NewID()), rec.Workspace, rec.ID
	want.Kind, want.Status, want.CreatedAt, want.UpdatedAt = voice.RenderAgain, voice.RenderAccepted, now, now
	err := p.o.DB.Update(ctx, func(tx *store.Tx) error {
		current, err := tx.Recording(rec.Workspace, rec.ID)
		if err != nil {
			return err
		}
		if err := p.renderable(current); err != nil {
			return err
		}
		n, err := tx.CountRenders(rec.ID)
		if err != nil {
			return err
		}
		if n >= maxAgain {
			return &voice.Error{Code: voice.CodeConflict, Message: fmt.Sprintf("The recording has %d renders already: use those", n)}
		}
		if err := tx.PutRender(want); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{Kind: voice.JobRender, Ref: want.Ref()})
	})
	if err != nil {
		return want, err
	}
	p.o.Wake()
	return want, nil
}

// renderable says why a recording cannot be rendered again.
func (p *Publisher) renderable(rec voice.Recording) error {
	switch rec.Status {
	case voice.RecordingAvailable:
	case voice.RecordingAbsent:
		return &voice.Error{Code: voice.CodeJournalGone, Message: "The recording is absent (" + string(rec.EndCause) + "): it has no journal to render"}
	default:
		return &voice.Error{
			Code:    voice.CodeRecordingNotActive,
			Message: "The recording is " + string(rec.Status) + ": only one that is available can be rendered again",
		}
	}
	_, err := os.Stat(p.o.Recorder.Path(rec.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return &voice.Error{Code: voice.CodeJournalGone, Message: "The journal of the recording is no longer kept, so that it cannot be rendered again"}
	}
	return err
}
