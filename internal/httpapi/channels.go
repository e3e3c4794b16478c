package httpapi

import (
	"context"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) CreateChannel(ctx context.Context, in openapi.CreateChannelRequestObject) (openapi.CreateChannelResponseObject, error) {
	change, err := changeOf(in.Body.Trunk, in.Body.Inbound)
	if err != nil {
		return nil, err
	}
	change.Name, change.Number, change.Codecs = in.Body.Name, &in.Body.Number, in.Body.Codecs
	c, err := v.control.CreateChannel(ctx, of(ctx).who, voice.WorkspaceID(in.WorkspaceID), change)
	if err != nil {
		return nil, err
	}
	shape, err := channel(&c)
	return openapi.CreateChannel201JSONResponse(shape), err
}

func (v *verbs) ListChannels(ctx context.Context, in openapi.ListChannelsRequestObject) (openapi.ListChannelsResponseObject, error) {
	channels, next, err := v.control.Channels(ctx, of(ctx).who, voice.WorkspaceID(in.WorkspaceID), page(in.Params.Limit, in.Params.PageToken, 10))
	if err != nil {
		return nil, err
	}
	out := openapi.ListChannels200JSONResponse{Results: make([]openapi.Channel, len(channels)), NextPageToken: some(next)}
	for i := range channels {
		if out.Results[i], err = channel(&channels[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *verbs) GetChannel(ctx context.Context, in openapi.GetChannelRequestObject) (openapi.GetChannelResponseObject, error) {
	c, err := v.control.Channel(ctx, of(ctx).who, ofChannel(in.WorkspaceID, in.ChannelID))
	if err != nil {
		return nil, err
	}
	shape, err := channel(&c)
	return openapi.GetChannel200JSONResponse(shape), err
}

func (v *verbs) UpdateChannel(ctx context.Context, in openapi.UpdateChannelRequestObject) (openapi.UpdateChannelResponseObject, error) {
	change, err := changeOf(in.Body.Trunk, in.Body.Inbound)
	if err != nil {
		return nil, err
	}
	change.Name, change.Number, change.Codecs = in.Body.Name, in.Body.Number, in.Body.Codecs
	c, err := v.control.UpdateChannel(ctx, of(ctx).who, ofChannel(in.WorkspaceID, in.ChannelID), change)
	if err != nil {
		return nil, err
	}
	shape, err := channel(&c)
	return openapi.UpdateChannel200JSONResponse(shape), err
}

func (v *verbs) DeleteChannel(ctx context.Context, in openapi.DeleteChannelRequestObject) (openapi.DeleteChannelResponseObject, error) {
	if err := v.control.DeleteChannel(ctx, of(ctx).who, ofChannel(in.WorkspaceID, in.ChannelID)); err != nil {
		return nil, err
	}
	return openapi.DeleteChannel204Response{}, nil
}

func ofChannel(ws, ch string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Channel: voice.ChannelID(ch)}
}

// changeOf reads the nested members of a channel's body.
func changeOf(trunk *openapi.Trunk, inbound *openapi.Inbound) (control.ChannelChange, error) {
	var change control.ChannelChange
	if trunk != nil {
		change.TrunkURI, change.TrunkUsername, change.TrunkPassword = trunk.URI, trunk.Username, trunk.Password
	}
	if inbound == nil {
		return change, nil
	}
	change.Sources, change.RingTimeout = inbound.Sources, inbound.RingTimeout
	change.InboundUsername, change.InboundPassword = inbound.Username, inbound.Password
	var err error
	change.Flow, err = flow(inbound.CallFlow)
	return change, err
}

// channel is a channel as the API shows it: without its passwords.
func channel(c *voice.Channel) (openapi.Channel, error) {
	out := openapi.Channel{
		ID: string(c.ID), Name: c.Name, Number: c.Number,
		Codecs:    append([]string{}, c.Codecs...),
		CreatedAt: openapi.Time{Time: c.CreatedAt}, UpdatedAt: openapi.Time{Time: c.UpdatedAt},
	}
	out.Trunk.URI, out.Trunk.Username = some(c.Trunk.URI), some(c.Trunk.Username)
	out.Inbound.Username = some(c.Inbound.Username)
	ringTimeout := int(c.Inbound.RingTime().Seconds())
	out.Inbound.RingTimeout = &ringTimeout
	if len(c.Inbound.Sources) > 0 {
		sources := make([]string, len(c.Inbound.Sources))
		for i, network := range c.Inbound.Sources {
			sources[i] = network.String()
		}
		out.Inbound.Sources = &sources
	}
	if len(c.Inbound.Flow) > 0 {
		steps, err := recast[[]openapi.ShownFlowCommand](c.Inbound.Flow)
		if err != nil {
			return out, err
		}
		out.Inbound.CallFlow = &steps
	}
	return out, nil
}
