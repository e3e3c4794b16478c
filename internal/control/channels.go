package control

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// ChannelChange holds the members of a channel that a request names. Nil
// leaves a member as it is.
type ChannelChange struct {
	Name, Number    *string
	TrunkURI        *string
	TrunkUsername   *string
	TrunkPassword   *string
	Sources         *[]string // networks or addresses
	InboundUsername *string
	InboundPassword *string
	RingTimeout     *int // seconds
	Flow            *[]voice.FlowCommand
	Codecs          *[]string
}

// CreateChannel makes a channel. A number that another channel owns is
// voice.CodeConflict.
func (s *Service) CreateChannel(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, in ChannelChange) (voice.Channel, error) {
	if err := s.authorize(who, voice.ActionCreate, Target{Workspace: ws}, "/channels"); err != nil {
		return voice.Channel{}, err
	}
	at := now()
	c := voice.Channel{ID: voice.ChannelID(store.NewID()), Workspace: ws, CreatedAt: at, UpdatedAt: at}
	if err := in.apply(&c); err != nil {
		return voice.Channel{}, err
	}
	err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.InsertChannel(c) })
	return c, err
}

// Channels lists the channels of a workspace. The second value is the token of
// the next page, empty after the last.
func (s *Service) Channels(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, page voice.Page) ([]voice.Channel, string, error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: ws}, "/channels"); err != nil {
		return nil, "", err
	}
	var list []voice.Channel
	var next string
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.Channels(ws, page)
		return err
	})
	return list, next, listed(err)
}

// Channel returns a channel.
func (s *Service) Channel(ctx context.Context, who voice.Principal, t Target) (voice.Channel, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Channel{}, err
	}
	return s.channel(ctx, t)
}

func (s *Service) channel(ctx context.Context, t Target) (c voice.Channel, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Channel(t.Workspace, t.Channel)
		return err
	})
	return c, err
}

// UpdateChannel changes a channel. Running calls keep what they started with.
func (s *Service) UpdateChannel(ctx context.Context, who voice.Principal, t Target, in ChannelChange) (voice.Channel, error) {
	if err := s.authorize(who, voice.ActionUpdate, t, ""); err != nil {
		return voice.Channel{}, err
	}
	var c voice.Channel
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if c, err = tx.Channel(t.Workspace, t.Channel); err != nil {
			return err
		}
		if err := in.apply(&c); err != nil {
			return err
		}
		c.UpdatedAt = now()
		return tx.UpdateChannel(c)
	})
	return c, err
}

// DeleteChannel deletes a channel that has no running call.
func (s *Service) DeleteChannel(ctx context.Context, who voice.Principal, t Target) error {
	if err := s.authorize(who, voice.ActionDelete, t, ""); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Channel(t.Workspace, t.Channel); err != nil {
			return err
		}
		return tx.DeleteChannel(t.Workspace, t.Channel)
	})
}

// apply puts the change into c, or returns every fault in it.
func (in *ChannelChange) apply(c *voice.Channel) error {
	set(&c.Name, in.Name)
	set(&c.Number, in.Number)
	set(&c.Trunk.URI, in.TrunkURI)
	set(&c.Trunk.Username, in.TrunkUsername)
	set(&c.Trunk.Password, in.TrunkPassword)
	set(&c.Inbound.Username, in.InboundUsername)
	set(&c.Inbound.Password, in.InboundPassword)
	set(&c.Inbound.RingTimeout, in.RingTimeout)
	set(&c.Inbound.Flow, in.Flow)
	set(&c.Codecs, in.Codecs)
	c.Codecs = unique(c.Codecs)

	faults := map[string][]string{}
	if in.Sources != nil {
		c.Inbound.Sources = make([]netip.Prefix, 0, len(*in.Sources))
		for i, text := range *in.Sources {
			network, err := ParseNetwork(text)
			if err != nil {
				member := fmt.Sprintf("inbound.sources.%d", i)
				faults[member] = append(faults[member], err.Error())
				continue
			}
			c.Inbound.Sources = append(c.Inbound.Sources, network)
		}
	}
	maps.Copy(faults, c.Faults())
	if len(faults) > 0 {
		return voice.Invalid(faults)
	}
	return nil
}

func set[T any](member *T, value *T) {
	if value != nil {
		*member = *value
	}
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// ParseNetwork reads a network such as 192.0.2.0/24, or an address, which is a
// network of itself alone.
func ParseNetwork(text string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		if network != network.Masked() {
			return netip.Prefix{}, fmt.Errorf("has bits set beyond its length: %s is meant?", network.Masked())
		}
		return network, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("must be a network as 192.0.2.0/24 or 2001:db8::/32, or an address")
	}
	return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
}
