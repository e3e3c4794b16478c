package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

type channelCmd struct {
	Create channelCreateCmd `cmd:"" help:"Make a voice channel."`
	List   channelListCmd   `cmd:"" help:"List the channels of a workspace."`
	Show   channelShowCmd   `cmd:"" help:"Show a channel, but for its passwords."`
	Update channelUpdateCmd `cmd:"" help:"Change a channel; what is not given stays."`
	Delete channelDeleteCmd `cmd:"" help:"Delete a channel that has no running call; its recordings stay."`
}

// channelFlags are the members of a channel. What is not given stays as it is.
type channelFlags struct {
	Name            *string  `help:"Name of the channel." placeholder:"NAME"`
	Number          *string  `help:"Number of the channel; * takes every number that no other channel has." placeholder:"NUMBER"`
	Trunk           *string  `help:"Where calls to phone numbers are sent; empty is nowhere." placeholder:"SIP-URI"`
	TrunkUsername   *string  `help:"User name for the trunk." placeholder:"NAME"`
	TrunkPassword   []byte   `type:"filecontent" help:"File with the password for the trunk; - is standard input." placeholder:"FILE"`
	Source          []string `help:"Networks that may call (again for more); none is none." placeholder:"NETWORK"`
	InboundUsername *string  `help:"User name that callers must give; empty asks for none." placeholder:"NAME"`
	InboundPassword []byte   `type:"filecontent" help:"File with the password that callers must give; - is standard input." placeholder:"FILE"`
	RingTimeout     *int     `help:"Seconds that an incoming call rings." placeholder:"SECONDS"`
	Flow            []byte   `type:"filecontent" help:"JSON file with the call flow of incoming calls; - is standard input." placeholder:"FILE"`
	Codec           []string `help:"Codecs in order of preference: opus, G722, PCMU, PCMA; none is the server's." placeholder:"CODEC"`
}

// apply puts what was given into the channel.
func (f *channelFlags) apply(c *voice.Channel) error {
	for _, m := range []struct{ to, from *string }{
		{&c.Name, f.Name}, {&c.Number, f.Number}, {&c.Trunk.URI, f.Trunk},
		{&c.Trunk.Username, f.TrunkUsername}, {&c.Inbound.Username, f.InboundUsername},
	} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	// A password without its user name would be a fault that nobody meant.
	if c.Trunk.Username == "" {
		c.Trunk.Password = ""
	}
	if c.Inbound.Username == "" {
		c.Inbound.Password = ""
	}
	for _, m := range []struct {
		to   *string
		from []byte
	}{{&c.Trunk.Password, f.TrunkPassword}, {&c.Inbound.Password, f.InboundPassword}} {
		if m.from != nil {
			*m.to = strings.TrimRight(string(m.from), "\r\n")
		}
	}
	if f.RingTimeout != nil {
		c.Inbound.RingTimeout = *f.RingTimeout
	}
	if err := errors.Join(f.sources(c), f.flow(c)); err != nil {
		return err
	}
	if f.Codec != nil {
		c.Codecs = list(f.Codec)
	}
	if faults := c.Faults(); faults != nil {
		return voice.Invalid(faults)
	}
	return nil
}

// list is a repeated flag, of which "none" alone means an empty one.
func list(given []string) []string {
	if len(given) == 1 && given[0] == "none" {
		return nil
	}
	return given
}

func (f *channelFlags) sources(c *voice.Channel) error {
	if f.Source == nil {
		return nil
	}
	c.Inbound.Sources = nil
	for _, text := range list(f.Source) {
		network, err := control.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("--source %s %w", text, err)
		}
		c.Inbound.Sources = append(c.Inbound.Sources, network)
	}
	return nil
}

func (f *channelFlags) flow(c *voice.Channel) error {
	if f.Flow == nil {
		return nil
	}
	c.Inbound.Flow = nil
	if err := json.Unmarshal(f.Flow, &c.Inbound.Flow); err != nil {
		return fmt.Errorf(`--flow is a JSON list as [{"command": "bridge", "options": {"to": "{to}", "record": true}}]: %w`, err)
	}
	return nil
}

// shownChannel is a channel as the API shows it: without passwords.
type shownChannel struct {
	ID      voice.ChannelID `json:"id"`
	Name    string          `json:"name"`
	Number  string          `json:"number"`
	Trunk   voice.Trunk     `json:"trunk"`
	Inbound struct {
		Sources     []netip.Prefix      `json:"sources,omitempty"`
		Username    string              `json:"username,omitempty"`
		RingTimeout int                 `json:"ringTimeout"`
		Flow        []voice.FlowCommand `json:"callFlow"`
	} `json:"inbound"`
	Codecs    []string  `json:"codecs"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

func showChannel(c voice.Channel) shownChannel {
	s := shownChannel{
		ID: c.ID, Name: c.Name, Number: c.Number, Trunk: c.Trunk, Codecs: append([]string{}, c.Codecs...),
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	s.Trunk.Password = ""
	s.Inbound.Sources, s.Inbound.Username = c.Inbound.Sources, c.Inbound.Username
	s.Inbound.RingTimeout = int(c.Inbound.RingTime() / time.Second)
	s.Inbound.Flow = append([]voice.FlowCommand{}, c.Inbound.Flow...)
	return s
}

func showOne(t io.Writer, s shownChannel) {
	flow, err := json.Marshal(s.Inbound.Flow)
	if err != nil {
		flow = []byte(err.Error())
	}
	line(t, "id", s.ID)
	line(t, "name", s.Name)
	line(t, "number", s.Number)
	line(t, "trunk", s.Trunk.URI)
	line(t, "trunk user", s.Trunk.Username)
	line(t, "sources", strings.Trim(fmt.Sprint(s.Inbound.Sources), "[]"))
	line(t, "inbound user", s.Inbound.Username)
	line(t, "ring timeout", s.Inbound.RingTimeout)
	line(t, "call flow", string(flow))
	line(t, "codecs", strings.Join(s.Codecs, " "))
	line(t, "created", s.CreatedAt.Format(time.RFC3339))
	line(t, "updated", s.UpdatedAt.Format(time.RFC3339))
}

type channelCreateCmd struct {
	databaseFlags
	workspaceFlag
	channelFlags
}

// Run makes a channel.
func (c *channelCreateCmd) Run(ctx context.Context, out io.Writer) error {
	at := time.Now().UTC()
	made := voice.Channel{ID: voice.ChannelID(store.NewID()), CreatedAt: at, UpdatedAt: at}
	if err := c.apply(&made); err != nil {
		return withFaults(err)
	}
	err := c.update(ctx, func(tx *store.Tx) error {
		w, err := tx.FindWorkspace(c.Workspace)
		if err != nil {
			return err
		}
		made.Workspace = w.ID
		if err := tx.InsertChannel(made); err != nil {
			return err
		}
		made, err = tx.Channel(w.ID, made.ID)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, showChannel(made), func(t io.Writer) { line(t, made.ID) })
}

type channelListCmd struct {
	databaseFlags
	workspaceFlag
}

// Run lists all channels of a workspace.
func (c *channelListCmd) Run(ctx context.Context, out io.Writer) error {
	shown := []shownChannel{}
	err := c.view(ctx, func(tx *store.Tx) error {
		w, err := tx.FindWorkspace(c.Workspace)
		if err != nil {
			return err
		}
		for page := (voice.Page{Limit: 1000}); ; {
			channels, next, err := tx.Channels(w.ID, page)
			if err != nil {
				return err
			}
			for _, channel := range channels {
				shown = append(shown, showChannel(channel))
			}
			if page.Token = next; next == "" {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	return c.print(out, shown, func(t io.Writer) {
		line(t, "ID", "NUMBER", "NAME", "TRUNK")
		for _, s := range shown {
			line(t, s.ID, s.Number, s.Name, s.Trunk.URI)
		}
	})
}

// channelArg names a channel.
type channelArg struct {
	databaseFlags
	workspaceFlag

	ID string `arg:"" help:"Id of the channel."`
}

func (a *channelArg) find(tx *store.Tx) (voice.Channel, error) {
	w, err := tx.FindWorkspace(a.Workspace)
	if err != nil {
		return voice.Channel{}, err
	}
	return tx.Channel(w.ID, voice.ChannelID(strings.ToLower(a.ID)))
}

type channelShowCmd struct{ channelArg }

// Run shows a channel.
func (c *channelShowCmd) Run(ctx context.Context, out io.Writer) error {
	var found voice.Channel
	err := c.view(ctx, func(tx *store.Tx) (err error) {
		found, err = c.find(tx)
		return err
	})
	if err != nil {
		return err
	}
	shown := showChannel(found)
	return c.print(out, shown, func(t io.Writer) { showOne(t, shown) })
}

type channelUpdateCmd struct {
	channelArg
	channelFlags
}

// Run changes a channel.
func (c *channelUpdateCmd) Run(ctx context.Context, out io.Writer) error {
	var changed voice.Channel
	err := c.update(ctx, func(tx *store.Tx) (err error) {
		if changed, err = c.find(tx); err != nil {
			return err
		}
		if err := c.apply(&changed); err != nil {
			return err
		}
		changed.UpdatedAt = time.Now().UTC()
		if err := tx.UpdateChannel(changed); err != nil {
			return err
		}
		changed, err = tx.Channel(changed.Workspace, changed.ID)
		return err
	})
	if err != nil {
		return withFaults(err)
	}
	shown := showChannel(changed)
	return c.print(out, shown, func(t io.Writer) { showOne(t, shown) })
}

type channelDeleteCmd struct{ channelArg }

// Run deletes a channel.
func (c *channelDeleteCmd) Run(ctx context.Context, _ io.Writer) error {
	return c.update(ctx, func(tx *store.Tx) error {
		found, err := c.find(tx)
		if err != nil {
			return err
		}
		return tx.DeleteChannel(found.Workspace, found.ID)
	})
}
