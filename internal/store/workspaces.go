package store

import (
	"strconv"
	"strings"

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

// FindWorkspace returns the workspace that an administrator means: by id, by a
// name that only one has, or, with neither, the only one there is.
func (t *Tx) FindWorkspace(idOrName string) (voice.Workspace, error) {
	all, err := t.Workspaces()
	if err != nil {
		return voice.Workspace{}, err
	}
	var named []voice.Workspace
	for _, w := range all {
		if strings.EqualFold(string(w.ID), idOrName) {
			return w, nil
		}
		if w.Name == idOrName || idOrName == "" {
			named = append(named, w)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		return voice.Workspace{}, &voice.Error{
			Code: voice.CodeInvalidParameter, Message: "More than one workspace is meant by " + strconv.Quote(idOrName) + ": name it by its id",
		}
	}
	return voice.Workspace{}, voice.NotFound("workspace")
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
