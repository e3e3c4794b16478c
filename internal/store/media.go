package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type mediaRow struct {
	bun.BaseModel `bun:"table:media"`

	ID          string `bun:"id,pk"`
	Workspace   string `bun:"workspace"`
	Name        string `bun:"name"`
	ContentType string `bun:"content_type"`
	Size        int64  `bun:"size"`
	SHA256      string `bun:"sha256"`
	Duration    int64  `bun:"duration"`
	File        string `bun:"file"`
	CreatedAt   int64  `bun:"created_at"`
}

func (r mediaRow) place() place { return place{r.CreatedAt, r.ID} }

func (r *mediaRow) noun() voice.Media {
	return voice.Media{
		ID: voice.MediaID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Name: r.Name, ContentType: r.ContentType,
		Size: r.Size, SHA256: r.SHA256, Duration: time.Duration(r.Duration), File: r.File, CreatedAt: timeOf(r.CreatedAt),
	}
}

// InsertMedia writes a new uploaded file.
func (t *Tx) InsertMedia(m voice.Media) error {
	return t.insert(&mediaRow{
		ID: string(m.ID), Workspace: string(m.Workspace), Name: text(m.Name), ContentType: m.ContentType,
		Size: m.Size, SHA256: m.SHA256, Duration: int64(m.Duration), File: m.File, CreatedAt: micros(m.CreatedAt),
	}, "media", "There is a file with this id")
}

// Media returns an uploaded file of a workspace.
func (t *Tx) Media(ws voice.WorkspaceID, id voice.MediaID) (voice.Media, error) {
	var r mediaRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Media{}, missing("media", err)
	}
	return r.noun(), nil
}

// MediaList returns one page of a workspace's uploaded files, newest first, and
// the token of the next page, empty on the last.
func (t *Tx) MediaList(ws voice.WorkspaceID, p voice.Page) ([]voice.Media, string, error) {
	rows, next, err := page[mediaRow](t, listMedia, p, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workspace = ?", string(ws))
	}, nil)
	out := make([]voice.Media, len(rows))
	for i := range rows {
		out[i] = rows[i].noun()
	}
	return out, next, err
}

// DeleteMedia deletes the row of an uploaded file. The file is the caller's.
func (t *Tx) DeleteMedia(ws voice.WorkspaceID, id voice.MediaID) error {
	res, err := t.db.NewDelete().Model((*mediaRow)(nil)).Where("id = ? AND workspace = ?", string(id), string(ws)).Exec(t.ctx)
	return changed("media", res, err)
}
