package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/auth"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Bootstrap is what the first start on an empty data directory makes, and
// writes to bootstrap.json there. The key stands in no other place.
type Bootstrap struct {
	Workspace voice.WorkspaceID `json:"workspaceId"`
	Channel   voice.ChannelID   `json:"channelId"`
	Number    string            `json:"number"`
	AccessKey string            `json:"accessKey"`
}

// BootstrapName is the name of the file in the data directory.
const BootstrapName = "bootstrap.json"

// ReadBootstrap reads what the first start wrote.
func ReadBootstrap(dataDir string) (b Bootstrap, err error) {
	data, err := os.ReadFile(filepath.Join(dataDir, BootstrapName))
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(data, &b)
}

// bootstrap makes a workspace, a channel and a key if the database has no
// workspace yet. The file comes before the commit, so that there is no key
// that nobody has; a file without a commit is written anew at the next start.
func bootstrap(ctx context.Context, db *store.DB, dir string) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.Workspaces()
		if err != nil || len(all) > 0 {
			return err
		}
		now := time.Now().UTC()
		b := Bootstrap{
			Workspace: voice.WorkspaceID(store.NewID()),
			Channel:   voice.ChannelID(store.NewID()),
			Number:    "1000",
		}
		err = tx.InsertWorkspace(voice.Workspace{ID: b.Workspace, Name: "default", CreatedAt: now, UpdatedAt: now})
		if err != nil {
			return err
		}
		err = tx.InsertChannel(voice.Channel{
			ID: b.Channel, Workspace: b.Workspace, Name: "default", Number: b.Number, CreatedAt: now, UpdatedAt: now,
		})
		if err != nil {
			return err
		}
		_, secret, err := auth.CreateKey(tx, b.Workspace, "bootstrap", auth.AllRights(b.Workspace), now)
		if err != nil {
			return err
		}
		b.AccessKey = secret
		return b.write(dir)
	})
}

func (b *Bootstrap) write(dir string) (err error) {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, BootstrapName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the first access key: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(append(data, '\n')); err != nil {
		return err
	}
	return f.Sync()
}
