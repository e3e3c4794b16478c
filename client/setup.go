package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FromEnvironment reads the options from TAPEDECK_SERVER, TAPEDECK_ACCESS_KEY and
// TAPEDECK_WORKSPACE. A key and a workspace that are not there are those that the
// first start of a server on this machine wrote into its data directory, which is
// TAPEDECK_DATA or ./data.
func FromEnvironment() (Options, error) {
	o := Options{BaseURL: os.Getenv("TAPEDECK_SERVER"), AccessKey: os.Getenv("TAPEDECK_ACCESS_KEY"), Workspace: os.Getenv("TAPEDECK_WORKSPACE")}
	local := o.BaseURL == "" // its key is for the server on this machine, and for no other
	if local {
		o.BaseURL = "http://127.0.0.1:8080"
	}
	if o.AccessKey != "" && o.Workspace != "" {
		return o, nil
	}
	dir := os.Getenv("TAPEDECK_DATA")
	if dir == "" && local {
		dir = "data"
	}
	if dir == "" {
		return o, errors.New("no access key or workspace: set TAPEDECK_ACCESS_KEY and TAPEDECK_WORKSPACE")
	}
	path := filepath.Join(dir, "bootstrap.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("no access key or workspace: set TAPEDECK_ACCESS_KEY and TAPEDECK_WORKSPACE, or TAPEDECK_DATA to the data directory of a server on this machine: %w", err)
	}
	if err != nil {
		return o, err
	}
	var boot struct{ WorkspaceID, AccessKey string }
	if err := json.Unmarshal(text, &boot); err != nil {
		return o, fmt.Errorf("%s: %w", path, err)
	}
	if o.AccessKey == "" {
		o.AccessKey = boot.AccessKey
	}
	if o.Workspace == "" {
		o.Workspace = boot.WorkspaceID
	}
	return o, nil
}

// EnsureChannel makes a channel, or makes the one that has its number so: what is
// said in it replaces what is there. A program that begins with it may be started
// again and again.
func (c *Client) EnsureChannel(ctx context.Context, in CreateChannel) (*Channel, error) {
	for there, err := range c.AllChannels(ctx, ListChannelsParams{Limit: 100}) {
		if err != nil {
			return nil, err
		}
		if there.Number != in.Number {
			continue
		}
		patch := PatchChannel{Inbound: &in.Inbound, Trunk: &in.Trunk}
		if in.Name != "" {
			patch.Name = &in.Name
		}
		if in.Codecs != nil {
			patch.Codecs = &in.Codecs
		}
		return c.UpdateChannel(ctx, there.ID, patch)
	}
	return c.CreateChannel(ctx, in)
}
