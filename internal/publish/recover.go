package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/recorder"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Recover gives every recording that a crash cut short an end: it repairs the
// journals in dir, and moves each row that is not final to completed, with the
// job that makes its file, or to absent or failed where there is nothing to
// make one of. Called once at start-up, before the first call is taken.
func (p *Publisher) Recover(ctx context.Context, dir string) error {
	found, err := recorder.Recover(dir)
	if err != nil {
		return fmt.Errorf("repair journals in %s: %w", dir, err)
	}
	journals := map[voice.RecordingID]recorder.Interrupted{}
	for _, j := range found {
		journals[j.Recording] = j
	}
	return p.o.DB.Update(ctx, func(tx *store.Tx) error {
		open, err := tx.UnfinishedRecordings()
		if err != nil {
			return err
		}
		for _, rec := range open {
			j, there := journals[rec.ID]
			delete(journals, rec.ID)
			if err := p.recoverRow(tx, rec, j, there); err != nil {
				return err
			}
		}
		for _, j := range journals {
			if err := p.adopt(tx, j); err != nil {
				return err
			}
		}
		return nil
	})
}

// recoverRow ends one recording, with its journal if there is one.
func (p *Publisher) recoverRow(tx *store.Tx, rec voice.Recording, j recorder.Interrupted, there bool) error {
	was := rec.Status
	now := time.Now().UTC()
	rec.UpdatedAt = now
	if rec.EndCause == "" {
		rec.EndCause = voice.EndNodeLost
	}
	if rec.EndedAt.IsZero() {
		rec.EndedAt = now
		if there && j.Err == nil {
			rec.EndedAt = endOf(j)
		}
	}
	switch {
	case there && j.Err == nil && j.Began:
		rec.Status = voice.RecordingCompleted
		if rec.StartedAt.IsZero() {
			rec.StartedAt = j.Header.Wall.UTC()
		}
	case rec.Status == voice.RecordingAccepted:
		rec.Status = voice.RecordingAbsent
	case !there:
		rec.Status, rec.Problem = voice.RecordingFailed, "the journal is missing"
	case j.Err != nil:
		rec.Status, rec.Problem = voice.RecordingFailed, j.Err.Error()
	default: // the row says that it began, the journal never got to it
		rec.Status = voice.RecordingAbsent
	}
	p.o.Logger.Warn("recording recovered", "recording", rec.ID, "was", was, "now", rec.Status, "endCause", rec.EndCause, "problem", rec.Problem)
	if err := tx.PutRecording(rec); err != nil {
		return err
	}
	if rec.Status == voice.RecordingFailed {
		return nil // its journal is left for a person to look at
	}
	return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: now})
}

// endOf is when the last fact of a journal was written down.
func endOf(j recorder.Interrupted) time.Time { return j.Header.Wall.Add(j.Report.Last).UTC() }

// adopt makes a row for a journal that has none, or leaves it alone when its
// recording is final already. The crash came before the answer to the request,
// so nobody knows its id, but what was recorded is not thrown away.
func (p *Publisher) adopt(tx *store.Tx, j recorder.Interrupted) error {
	_, err := tx.RecordingByID(j.Recording)
	if err == nil {
		return nil
	}
	if voice.CodeOf(err) != voice.CodeNotFound {
		return err
	}
	var corrupt *journal.CorruptError
	if j.Err != nil && !errors.As(j.Err, &corrupt) {
		// The disk could not read it now; what it holds is not known.
		p.o.Logger.Error("journal cannot be read: it is left where it is", "path", j.Path, "error", j.Err)
		return nil
	}
	if j.Err != nil || !j.Began {
		return removeIfThere(j.Path)
	}
	ws, ch := voice.WorkspaceID(j.Header.Workspace), voice.ChannelID(j.Header.Channel)
	call, err := tx.Call(ws, ch, voice.CallID(j.Header.Call))
	if voice.CodeOf(err) == voice.CodeNotFound {
		p.o.Logger.Error("journal belongs to no known call: it is left where it is", "path", j.Path, "call", j.Header.Call)
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	rec := voice.Recording{
		ID: j.Recording, Workspace: ws, Channel: ch, Call: call.ID,
		Status: voice.RecordingCompleted, Origin: voice.OriginCommandRecordCall,
		Stereo: j.Header.Stereo, MaxLength: j.Header.MaxLength, EndCause: voice.EndNodeLost,
		Direction: call.Direction, From: call.From, To: call.To,
		CreatedAt: j.Header.Wall.UTC(), UpdatedAt: now, StartedAt: j.Header.Wall.UTC(), EndedAt: endOf(j),
	}
	if err := tx.PutRecording(rec); err != nil {
		return err
	}
	return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: now})
}
