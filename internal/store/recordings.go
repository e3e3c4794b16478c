package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type recordingRow struct {
	bun.BaseModel `bun:"table:recordings"`

	ID        string `bun:"id,pk"`
	Workspace string `bun:"workspace"`
	Channel   string `bun:"channel"`
	Call      string `bun:"call"`
	Status    string `bun:"status"`
	Origin    string `bun:"origin"`
	Stereo    bool   `bun:"stereo"`
	MaxLength int64  `bun:"max_length"`
	EndCause  string `bun:"end_cause"`
	Problem   string `bun:"problem"`
	Direction string `bun:"direction"`
	From      string `bun:"from_party"`
	FromKey   string `bun:"from_key"`
	To        string `bun:"to_party"`
	ToKey     string `bun:"to_key"`
	Duration  int64  `bun:"duration"`
	Channels  string `bun:"channels"`
	File      string `bun:"file"`
	Receipt   string `bun:"receipt"`
	Size      int64  `bun:"size"`
	SHA256    string `bun:"sha256"`

	Transcribe  string `bun:"transcribe"`
	Transcribed bool   `bun:"transcribed"`

	CreatedAt int64 `bun:"created_at"`
	UpdatedAt int64 `bun:"updated_at"`
	StartedAt int64 `bun:"started_at"`
	EndedAt   int64 `bun:"ended_at"`
}

func (r recordingRow) place() place { return place{r.CreatedAt, r.ID} }

func recordingRowOf(r *voice.Recording) (*recordingRow, error) {
	channels, err := encode(r.Channels)
	if err != nil {
		return nil, fail("write recording", err)
	}
	return &recordingRow{
		ID: string(r.ID), Workspace: string(r.Workspace), Channel: string(r.Channel), Call: string(r.Call),
		Status: string(r.Status), Origin: string(r.Origin), Stereo: r.Stereo, MaxLength: int64(r.MaxLength),
		EndCause: string(r.EndCause), Problem: text(r.Problem), Direction: string(r.Direction),
		From: text(r.From), FromKey: number(r.From), To: text(r.To), ToKey: number(r.To),
		Duration: int64(r.Duration), Channels: channels, File: r.File, Receipt: r.Receipt,
		Size: r.Size, SHA256: r.SHA256, Transcribe: r.Transcribe, Transcribed: r.Transcribed,
		CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt),
		StartedAt: micros(r.StartedAt), EndedAt: micros(r.EndedAt),
	}, nil
}

func (r *recordingRow) noun() (voice.Recording, error) {
	out := voice.Recording{
		ID: voice.RecordingID(r.ID), Workspace: voice.WorkspaceID(r.Workspace),
		Channel: voice.ChannelID(r.Channel), Call: voice.CallID(r.Call),
		Status: voice.RecordingStatus(r.Status), Origin: voice.RecordingOrigin(r.Origin),
		Stereo: r.Stereo, MaxLength: time.Duration(r.MaxLength),
		EndCause: voice.EndCause(r.EndCause), Problem: r.Problem, Direction: voice.Direction(r.Direction),
		From: r.From, To: r.To, Duration: time.Duration(r.Duration),
		File: r.File, Receipt: r.Receipt, Size: r.Size, SHA256: r.SHA256,
		Transcribe: r.Transcribe, Transcribed: r.Transcribed,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
		StartedAt: timeOf(r.StartedAt), EndedAt: timeOf(r.EndedAt),
	}
	return out, fail("read recording "+r.ID, decode(r.Channels, &out.Channels))
}

func recordingsOf(rows []recordingRow) ([]voice.Recording, error) {
	out := make([]voice.Recording, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutRecording writes a recording, new or known. What says which recording it
// is (workspace, channel, call, origin, direction, parties, whether it is to be
// transcribed, creation time) is kept from the first time; all else is replaced,
// but whether there is a transcription: that is PutTranscription's. A change of
// the status is told as an event. A recording of another
// workspace is not touched: then it is voice.NotFound.
func (t *Tx) PutRecording(r voice.Recording) error {
	id := string(r.ID)
	old, known := t.passed[id]
	if !known {
		if err := t.look(stateOfRecording, id, &old.status); err != nil {
			return fail("read status of recording", err)
		}
	}
	if t.passing {
		t.pass(id, passed{status: string(r.Status)})
	} else if err := t.replaceRecording(&r); err != nil {
		return err
	}
	return t.tellOfRecording(r, voice.RecordingStatus(old.status))
}

func (t *Tx) replaceRecording(r *voice.Recording) error {
	in, err := recordingRowOf(r)
	if err != nil {
		return err
	}
	res, err := t.exec(putRecording, in.values()...)
	return changed("recording", res, err)
}

// Recording returns a recording.
func (t *Tx) Recording(ws voice.WorkspaceID, id voice.RecordingID) (voice.Recording, error) {
	var r recordingRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Recording{}, missing("recording", err)
	}
	return r.noun()
}

// RecordingByID returns a recording of any workspace: for jobs, which know its
// id only.
func (t *Tx) RecordingByID(id voice.RecordingID) (voice.Recording, error) {
	var r recordingRow
	if err := t.db.NewSelect().Model(&r).Where("id = ?", string(id)).Scan(t.ctx); err != nil {
		return voice.Recording{}, missing("recording", err)
	}
	return r.noun()
}

// liveStatuses are the states of a recording that is not final.
func liveStatuses() []voice.RecordingStatus {
	var out []voice.RecordingStatus
	for _, s := range voice.RecordingStatuses() {
		if !s.Terminal() {
			out = append(out, s)
		}
	}
	return out
}

// Recordings returns one page of recordings, newest first, and the token of the
// next page, empty on the last. Numbers are compared without their leading "+".
func (t *Tx) Recordings(f voice.RecordingFilter) ([]voice.Recording, string, error) {
	var statuses []voice.RecordingStatus
	switch {
	case f.Live && f.Status != "" && f.Status.Terminal():
		return nil, "", nil // no recording is both
	case f.Status != "":
		statuses = []voice.RecordingStatus{f.Status}
	case f.Live:
		statuses = liveStatuses()
	}
	oneStatus, branches := eachOf("status", statuses)
	over := newest()
	switch {
	case f.Call != "":
	case f.From != "" && f.To != "":
		over = by("recordings", "recording_row", "recordings_parties")
	case f.Channel == "" && len(statuses) > 0 && f.Direction != "" && f.From == "" && f.To == "":
		over = by("recordings", "recording_row", "recordings_status_direction")
	}
	rows, next, err := page[recordingRow](t, listRecordings, f.Page, over, func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("workspace = ?", string(f.Workspace))
		if f.Channel != "" {
			q = q.Where("channel = ?", string(f.Channel))
		}
		if f.Call != "" {
			q = q.Where("call = ?", string(f.Call))
		}
		if f.Direction != "" {
			q = q.Where("direction = ?", string(f.Direction))
		}
		return oneStatus(created(parties(q, f.From, f.To), f.StartAt, f.EndAt))
	}, branches)
	if err != nil {
		return nil, "", err
	}
	out, err := recordingsOf(rows)
	return out, next, err
}

// UnfinishedRecordings returns the recordings of all workspaces that are not in
// a final status, oldest first.
func (t *Tx) UnfinishedRecordings() ([]voice.Recording, error) {
	var rows []recordingRow
	err := t.db.NewSelect().Model(&rows).Where("status IN (?)", bun.List(liveStatuses())).
		OrderExpr("created_at, id").Scan(t.ctx)
	if err != nil {
		return nil, fail("read unfinished recordings", err)
	}
	return recordingsOf(rows)
}

// CountRecordings counts the recordings of all workspaces by status. Every
// status is there.
func (t *Tx) CountRecordings() (map[voice.RecordingStatus]int, error) {
	var rows []struct {
		Status string
		N      int
	}
	err := t.db.NewSelect().Model((*recordingRow)(nil)).Column("status").ColumnExpr("COUNT(*) AS n").
		Group("status").Scan(t.ctx, &rows)
	if err != nil {
		return nil, fail("count recordings", err)
	}
	out := map[voice.RecordingStatus]int{}
	for _, s := range voice.RecordingStatuses() {
		out[s] = 0
	}
	for _, r := range rows {
		out[voice.RecordingStatus(r.Status)] = r.N
	}
	return out, nil
}
