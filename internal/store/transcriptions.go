package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type transcriptionRow struct {
	bun.BaseModel `bun:"table:transcriptions"`

	ID        string `bun:"id,pk"`
	Workspace string `bun:"workspace"`
	Recording string `bun:"recording"`
	Call      string `bun:"call"`
	Channel   string `bun:"channel"`
	Status    string `bun:"status"`
	Problem   string `bun:"problem"`
	Stereo    bool   `bun:"stereo"`
	Locale    string `bun:"locale"`
	Summary   string `bun:"summary"`
	Segments  string `bun:"segments"`
	CreatedAt int64  `bun:"created_at"`
	UpdatedAt int64  `bun:"updated_at"`
}

func (r transcriptionRow) place() place { return place{r.CreatedAt, r.ID} }

func (r *transcriptionRow) noun() (voice.Transcription, error) {
	out := voice.Transcription{
		ID: voice.TranscriptionID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Recording: voice.RecordingID(r.Recording),
		Call: voice.CallID(r.Call), Channel: voice.ChannelID(r.Channel), Status: voice.TranscriptionStatus(r.Status),
		Problem: r.Problem, Stereo: r.Stereo, Locale: r.Locale, Summary: r.Summary,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
	}
	return out, fail("read transcription "+r.ID, decode(r.Segments, &out.Segments))
}

// PutTranscription writes a transcription, new or known, and tells of it when it
// became available or failed. What says which one it is (workspace, recording,
// locale, creation time) is kept from the first time; all else is replaced. One of
// another workspace is not touched: then it is voice.NotFound.
func (t *Tx) PutTranscription(in voice.Transcription) error {
	segments, err := encode(in.Segments)
	if err != nil {
		return fail("write transcription", err)
	}
	var old string
	if err := t.look(stateOfTranscription, string(in.ID), &old); err != nil {
		return fail("read status of transcription", err)
	}
	row := &transcriptionRow{
		ID: string(in.ID), Workspace: string(in.Workspace), Recording: string(in.Recording), Call: string(in.Call),
		Channel: string(in.Channel), Status: string(in.Status), Problem: text(in.Problem), Stereo: in.Stereo, Locale: in.Locale,
		Summary: text(in.Summary), Segments: segments, CreatedAt: micros(in.CreatedAt), UpdatedAt: micros(in.UpdatedAt),
	}
	q := t.db.NewInsert().Model(row).On("CONFLICT (id) DO UPDATE")
	for _, column := range []string{"status", "problem", "stereo", "summary", "segments", "updated_at"} {
		q = q.Set("? = EXCLUDED.?", bun.Ident(column), bun.Ident(column))
	}
	res, err := q.Where("transcription_row.workspace = EXCLUDED.workspace").Exec(t.ctx)
	if err := changed("transcription", res, err); err != nil {
		return err
	}
	if in.Status == voice.TranscriptionAvailable {
		_, err = t.db.NewUpdate().Model((*recordingRow)(nil)).Set("transcribed = TRUE").Where("id = ?", string(in.Recording)).Exec(t.ctx)
		if err != nil {
			return fail("mark recording as transcribed", err)
		}
	}
	kind := voice.TranscriptionEventOf(voice.TranscriptionStatus(old), in.Status)
	if kind == "" {
		return nil
	}
	notify, err := t.notifyURL(in.Call)
	if err != nil {
		return err
	}
	in.Segments, in.Summary = nil, "" // the text is asked for where it is, and goes when that goes
	return t.tell(voice.Event{
		Workspace: in.Workspace, Type: kind, Channel: in.Channel, Call: in.Call,
		Status: string(in.Status), NotifyURL: notify, At: in.UpdatedAt, Subject: voice.Subject{Transcription: &in},
	})
}

// Transcription returns a transcription of a workspace.
func (t *Tx) Transcription(ws voice.WorkspaceID, id voice.TranscriptionID) (voice.Transcription, error) {
	var r transcriptionRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Transcription{}, missing("transcription", err)
	}
	return r.noun()
}

// Transcriptions returns one page of transcriptions, newest first, and the token
// of the next page, empty on the last.
func (t *Tx) Transcriptions(f voice.TranscriptionFilter) ([]voice.Transcription, string, error) {
	rows, next, err := page[transcriptionRow](t, listTranscriptions, f.Page, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("workspace = ?", string(f.Workspace))
		if f.Recording != "" {
			q = q.Where("recording = ?", string(f.Recording))
		}
		if f.Status != "" {
			q = q.Where("status = ?", string(f.Status))
		}
		return q
	}, nil)
	if err != nil {
		return nil, "", err
	}
	out, err := transcriptionsOf(rows)
	return out, next, err
}

// WaitingTranscriptions returns those of all workspaces that are not in a final
// status, the oldest first.
func (t *Tx) WaitingTranscriptions() ([]voice.Transcription, error) {
	var rows []transcriptionRow
	// The statuses are written out so that the partial index serves.
	err := t.db.NewSelect().Model(&rows).Where("status IN ('accepted', 'ongoing')").OrderExpr("created_at, id").Scan(t.ctx)
	if err != nil {
		return nil, fail("read waiting transcriptions", err)
	}
	return transcriptionsOf(rows)
}

func transcriptionsOf(rows []transcriptionRow) ([]voice.Transcription, error) {
	out := make([]voice.Transcription, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// EraseTranscriptions takes the texts of a recording away: its transcriptions stay
// as absent.
func (t *Tx) EraseTranscriptions(id voice.RecordingID, at time.Time) error {
	none, err := encode([]voice.Segment(nil))
	if err != nil {
		return fail("erase transcriptions", err)
	}
	_, err = t.db.NewUpdate().Model((*transcriptionRow)(nil)).
		Set("status = ?", string(voice.TranscriptionAbsent)).Set("problem = ''").Set("summary = ''").Set("segments = ?", none).
		Set("updated_at = ?", micros(at)).
		Where("recording = ? AND status <> ?", string(id), string(voice.TranscriptionAbsent)).Exec(t.ctx)
	if err != nil {
		return fail("erase transcriptions", err)
	}
	_, err = t.db.NewUpdate().Model((*recordingRow)(nil)).Set("transcribed = FALSE").Where("id = ?", string(id)).Exec(t.ctx)
	return fail("mark recording as not transcribed", err)
}
