package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/auth"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an access key and print it; it is shown this once."`
	List   keyListCmd   `cmd:"" help:"List the access keys of a workspace."`
	Revoke keyRevokeCmd `cmd:"" help:"Revoke an access key; it is refused within a second."`
}

type keyCreateCmd struct {
	databaseFlags
	workspaceFlag

	Name     string `help:"What the key is for." placeholder:"NAME"`
	Policies []byte `type:"filecontent" help:"JSON file with the policies (default: all rights in the workspace); - is standard input." placeholder:"FILE"`
}

type shownKey struct {
	ID        voice.KeyID       `json:"id"`
	Workspace voice.WorkspaceID `json:"workspaceId"`
	Name      string            `json:"name"`
	AccessKey string            `json:"accessKey,omitempty"` // once, when it is made
	Policies  []voice.Policy    `json:"policies"`
	CreatedAt time.Time         `json:"createdAt"`
	RevokedAt *time.Time        `json:"revokedAt,omitempty"`
}

func showKey(k voice.AccessKey, secret string) shownKey {
	shown := shownKey{
		ID: k.ID, Workspace: k.Workspace, Name: k.Name, AccessKey: secret, Policies: k.Policies, CreatedAt: k.CreatedAt,
	}
	if !k.RevokedAt.IsZero() {
		shown.RevokedAt = &k.RevokedAt
	}
	return shown
}

// Run makes a key.
func (c *keyCreateCmd) Run(ctx context.Context, out io.Writer) error {
	var policies []voice.Policy
	if c.Policies != nil {
		if err := json.Unmarshal(c.Policies, &policies); err != nil {
			return fmt.Errorf(`policies are a JSON list as [{"effect": "allow", "actions": ["view"], "resources": ["/workspaces/*/**"]}]: %w`, err)
		}
	}
	var key voice.AccessKey
	var secret string
	err := c.update(ctx, func(tx *store.Tx) error {
		w, err := tx.FindWorkspace(c.Workspace)
		if err != nil {
			return err
		}
		if c.Policies == nil {
			policies = auth.AllRights(w.ID)
		}
		key, secret, err = auth.CreateKey(tx, w.ID, c.Name, policies, time.Now())
		return err
	})
	if err != nil {
		return withFaults(err)
	}
	return c.print(out, showKey(key, secret), func(t io.Writer) {
		line(t, "id", key.ID)
		line(t, "key", secret)
	})
}

type keyListCmd struct {
	databaseFlags
	workspaceFlag
}

// Run lists the keys of a workspace.
func (c *keyListCmd) Run(ctx context.Context, out io.Writer) error {
	shown := []shownKey{}
	err := c.view(ctx, func(tx *store.Tx) error {
		w, err := tx.FindWorkspace(c.Workspace)
		if err != nil {
			return err
		}
		keys, err := tx.Keys(w.ID)
		for _, k := range keys {
			shown = append(shown, showKey(k, ""))
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, shown, func(t io.Writer) {
		line(t, "ID", "NAME", "CREATED", "REVOKED")
		for _, k := range shown {
			revoked := ""
			if k.RevokedAt != nil {
				revoked = k.RevokedAt.Format(time.RFC3339)
			}
			line(t, k.ID, k.Name, k.CreatedAt.Format(time.RFC3339), revoked)
		}
	})
}

type keyRevokeCmd struct {
	databaseFlags
	workspaceFlag

	ID string `arg:"" help:"Id of the key."`
}

// Run revokes a key.
func (c *keyRevokeCmd) Run(ctx context.Context, _ io.Writer) error {
	return c.update(ctx, func(tx *store.Tx) error {
		w, err := tx.FindWorkspace(c.Workspace)
		if err != nil {
			return err
		}
		return tx.RevokeKey(w.ID, voice.KeyID(c.ID), time.Now())
	})
}
