package store

import (
	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type workspaceRow struct {
	bun.BaseModel `bun:"table:workspaces"`

	ID        string `bun:"id,pk"`
	Name      string `bun:"name"`
	CreatedAt int64  `bun:"created_at"`
	UpdatedAt int64  `bun:"updated_at"`
}

func (r *workspaceRow) noun() voice.Workspace {
	return voice.Workspace{
		ID: voice.WorkspaceID(r.ID), Name: r.Name,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
	}
}

// InsertWorkspace adds a workspace.
func (t *Tx) InsertWorkspace(w voice.Workspace) error {
	return t.insert(&workspaceRow{
		ID: string(w.ID), Name: text(w.Name),
		CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt),
	}, "workspace", "A workspace with this id exists already")
}

// Workspace returns a workspace.
func (t *Tx) Workspace(id voice.WorkspaceID) (voice.Workspace, error) {
	var r workspaceRow
	if err := t.db.NewSelect().Model(&r).Where("id = ?", string(id)).Scan(t.ctx); err != nil {
		return voice.Workspace{}, missing("workspace", err)
	}
	return r.noun(), nil
}

// Workspaces returns all workspaces, oldest first.
func (t *Tx) Workspaces() ([]voice.Workspace, error) {
	var rows []workspaceRow
	if err := t.db.NewSelect().Model(&rows).OrderExpr("created_at, id").Scan(t.ctx); err != nil {
		return nil, fail("read workspaces", err)
	}
	out := make([]voice.Workspace, len(rows))
	for i := range rows {
		out[i] = rows[i].noun()
	}
	return out, nil
}
