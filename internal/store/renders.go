package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type renderRow struct {
	bun.BaseModel `bun:"table:renders"`

	ID        string `bun:"id,pk"`
	Workspace string `bun:"workspace"`
	Recording string `bun:"recording"`
	Kind      string `bun:"kind"`
	Status    string `bun:"status"`
	Problem   string `bun:"problem"`
	Stereo    bool   `bun:"stereo"`
	Swap      bool   `bun:"swap"`
	Format    string `bun:"format"`
	File      string `bun:"file"`
	Receipt   string `bun:"receipt"`
	Size      int64  `bun:"size"`
	SHA256    string `bun:"sha256"`
	Duration  int64  `bun:"duration"`
	CreatedAt int64  `bun:"created_at"`
	UpdatedAt int64  `bun:"updated_at"`
}

func (r renderRow) place() place { return place{r.CreatedAt, r.ID} }

func (r *renderRow) noun() voice.Render {
	return voice.Render{
		ID: voice.RenderID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Recording: voice.RecordingID(r.Recording),
		Kind: voice.RenderKind(r.Kind), Status: voice.RenderStatus(r.Status), Problem: r.Problem,
		Stereo: r.Stereo, Swap: r.Swap, Format: voice.AudioFormat(r.Format),
		File: r.File, Receipt: r.Receipt, Size: r.Size, SHA256: r.SHA256, Duration: time.Duration(r.Duration),
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
	}
}

func rendersOf(rows []renderRow) []voice.Render {
	out := make([]voice.Render, len(rows))
	for i := range rows {
		out[i] = rows[i].noun()
	}
	return out
}

// PutRender writes a render, new or known. Which one it is (workspace,
// recording, kind, what was asked for, creation time) is kept from the first
// time; all else is replaced. Of a recording that does not exist it is an error.
func (t *Tx) PutRender(r voice.Render) error {
	row := &renderRow{
		ID: string(r.ID), Workspace: string(r.Workspace), Recording: string(r.Recording),
		Kind: string(r.Kind), Status: string(r.Status), Problem: text(r.Problem),
		Stereo: r.Stereo, Swap: r.Swap, Format: string(r.Format),
		File: r.File, Receipt: r.Receipt, Size: r.Size, SHA256: r.SHA256, Duration: int64(r.Duration),
		CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt),
	}
	res, err := t.exec(putRender, row.values()...)
	return changed("render", res, err)
}

// Render returns a render of a recording.
func (t *Tx) Render(rec voice.RecordingID, id voice.RenderID) (voice.Render, error) {
	var r renderRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND recording = ?", string(id), string(rec)).Scan(t.ctx)
	if err != nil {
		return voice.Render{}, missing("render", err)
	}
	return r.noun(), nil
}

// Renders returns one page of what a recording was asked to be rendered as
// (voice.RenderAgain), newest first, and the token of the next page, empty on
// the last.
func (t *Tx) Renders(rec voice.RecordingID, p voice.Page) ([]voice.Render, string, error) {
	rows, next, err := page[renderRow](t, listRenders, p, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("recording = ? AND kind = ?", string(rec), string(voice.RenderAgain))
	}, nil)
	return rendersOf(rows), next, err
}

// CountRenders counts what Renders lists.
func (t *Tx) CountRenders(rec voice.RecordingID) (int64, error) {
	n, err := t.db.NewSelect().Model((*renderRow)(nil)).
		Where("recording = ? AND kind = ?", string(rec), string(voice.RenderAgain)).Count(t.ctx)
	return n, fail("count renders", err)
}

// RendersOf returns all renders of a recording, of every kind.
func (t *Tx) RendersOf(rec voice.RecordingID) ([]voice.Render, error) {
	var rows []renderRow
	err := t.db.NewSelect().Model(&rows).Where("recording = ?", string(rec)).OrderExpr("created_at, id").Scan(t.ctx)
	return rendersOf(rows), fail("read renders", err)
}

// WaitingRenders returns the renders of all recordings that are accepted and
// not made, the oldest first.
func (t *Tx) WaitingRenders() ([]voice.Render, error) {
	var rows []renderRow
	// The status is written out so that the partial index serves.
	err := t.db.NewSelect().Model(&rows).Where("status = 'accepted'").OrderExpr("created_at, id").Scan(t.ctx)
	return rendersOf(rows), fail("read waiting renders", err)
}

// DeleteRenders deletes the rows of all renders of a recording. Their files are
// the caller's.
func (t *Tx) DeleteRenders(rec voice.RecordingID) error {
	_, err := t.db.NewDelete().Model((*renderRow)(nil)).Where("recording = ?", string(rec)).Exec(t.ctx)
	return fail("delete renders", err)
}
