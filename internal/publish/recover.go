package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"tapedeck/internal/recorder"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Recover gives every recording that a crash cut short an end: it repairs the
// journals in dir, and moves each row that is not final to completed, with the
// job that makes its file, or to absent or failed where there is nothing to
// make one of. Called once at start-up, before the first call is taken.
func (p *Publisher) Recover(ctx context.Context, dir string) error {
	interrupted, err := recorder.Recover(dir)
	if err != nil {
		return fmt.Errorf("repair journals in %s: %w", dir, err)
	}
	cut := map[voice.RecordingID]recorder.Interrupted{}
	for _, j := range interrupted {
		cut[j.Recording] = j
	}
	return p.o.DB.Update(ctx, func(tx *store.Tx) error {
		open, err := tx.UnfinishedRecordings()
		if err != nil {
			return err
		}
		for _, rec := range open {
			j, wasCut := cut[rec.ID]
			delete(cut, rec.ID)
			if err := p.recoverRow(tx, rec, j, wasCut); err != nil {
				return err
			}
		}
		for _, j := range cut {
			if err := p.adopt(tx, j); err != nil {
				return err
			}
		}
		return nil
	})
}

// recoverRow ends one recording. Its journal is either cut (no end record),
// whole, or not there.
func (p *Publisher) recoverRow(tx *store.Tx, rec voice.Recording, j recorder.Interrupted, wasCut bool) error {
	now := time.Now().UTC()
	was := rec.Status
	_, err := os.Stat(p.o.Recorder.Path(rec.ID))
	there := err == nil
	if rec.EndCause == "" {
		rec.EndCause = voice.EndNodeLost
	}
	if rec.EndedAt.IsZero() {
		rec.EndedAt = now
		if wasCut && !j.EndedAt.IsZero() {
			rec.EndedAt = j.EndedAt
		}
	}
	switch {
	case rec.Status == voice.RecordingCompleted && there:
	case there && (!wasCut || j.Began):
		rec.Status = voice.RecordingCompleted
		if wasCut && rec.StartedAt.IsZero() {
			rec.StartedAt = j.BeganAt
		}
	case rec.Status == voice.RecordingAccepted:
		rec.Status = voice.RecordingAbsent
	default:
		rec.Status, rec.Problem = voice.RecordingFailed, "the journal is missing"
	}
	rec.UpdatedAt = now
	p.o.Logger.Warn("recording recovered", "recording", rec.ID, "was", was, "now", rec.Status, "endCause", rec.EndCause)
	if err := tx.PutRecording(rec); err != nil {
		return err
	}
	if rec.Status == voice.RecordingFailed {
		return nil
	}
	return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: now})
}

// adopt makes a row for a journal that has none, or leaves it alone when its
// recording is final already. The crash came before the answer to the request,
// so nobody knows its id, but what was recorded is not thrown away.
func (p *Publisher) adopt(tx *store.Tx, j recorder.Interrupted) error {
	ws := voice.WorkspaceID(j.Header.Workspace)
	_, err := tx.Recording(ws, j.Recording)
	if err == nil {
		return nil
	}
	if voice.CodeOf(err) != voice.CodeNotFound {
		return err
	}
	if !j.Began {
		return removeIfThere(j.Path)
	}
	call, err := tx.Call(ws, voice.ChannelID(j.Header.Channel), voice.CallID(j.Header.Call))
	var coded *voice.Error
	if errors.As(err, &coded) && coded.Code == voice.CodeNotFound {
		p.o.Logger.Error("journal belongs to no known call: it is left where it is", "path", j.Path, "call", j.Header.Call)
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	rec := voice.Recording{
		ID: j.Recording, Workspace: ws, Channel: voice.ChannelID(j.Header.Channel), Call: call.ID,
		Status: voice.RecordingCompleted, Origin: voice.OriginCommandRecordCall,
		Stereo: j.Header.Stereo, MaxLength: j.Header.MaxLength, EndCause: voice.EndNodeLost,
		Direction: call.Direction, From: call.From, To: call.To,
		CreatedAt: j.Header.Wall.UTC(), UpdatedAt: now, StartedAt: j.BeganAt, EndedAt: j.EndedAt,
	}
	if err := tx.PutRecording(rec); err != nil {
		return err
	}
	return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: now})
}
