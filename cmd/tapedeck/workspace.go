package main

import (
	"context"
	"io"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

type workspaceCmd struct {
	Create workspaceCreateCmd `cmd:"" help:"Make a workspace."`
	List   workspaceListCmd   `cmd:"" help:"List the workspaces."`
}

type workspaceCreateCmd struct {
	databaseFlags

	Name string `arg:"" help:"Name of the workspace."`
}

type shownWorkspace struct {
	ID        voice.WorkspaceID `json:"id"`
	Name      string            `json:"name"`
	CreatedAt time.Time         `json:"createdAt"`
}

func showWorkspace(w voice.Workspace) shownWorkspace {
	return shownWorkspace{ID: w.ID, Name: w.Name, CreatedAt: w.CreatedAt}
}

// Run makes a workspace.
func (c *workspaceCreateCmd) Run(ctx context.Context, out io.Writer) error {
	at := time.Now().UTC()
	w := voice.Workspace{ID: voice.WorkspaceID(store.NewID()), Name: c.Name, CreatedAt: at, UpdatedAt: at}
	err := c.update(ctx, func(tx *store.Tx) (err error) {
		if err := tx.InsertWorkspace(w); err != nil {
			return err
		}
		w, err = tx.Workspace(w.ID)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, showWorkspace(w), func(t io.Writer) { line(t, w.ID) })
}

type workspaceListCmd struct {
	databaseFlags
}

// Run lists the workspaces.
func (c *workspaceListCmd) Run(ctx context.Context, out io.Writer) error {
	var all []voice.Workspace
	err := c.view(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Workspaces()
		return err
	})
	if err != nil {
		return err
	}
	shown := make([]shownWorkspace, len(all))
	for i, w := range all {
		shown[i] = showWorkspace(w)
	}
	return c.print(out, shown, func(t io.Writer) {
		line(t, "ID", "NAME", "CREATED")
		for _, w := range shown {
			line(t, w.ID, w.Name, w.CreatedAt.Format(time.RFC3339))
		}
	})
}
