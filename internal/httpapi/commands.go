package httpapi

import (
	"context"

	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) AnswerCall(ctx context.Context, in openapi.AnswerCallRequestObject) (openapi.AnswerCallResponseObject, error) {
	result, err := v.control.Answer(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID))
	if err != nil {
		return nil, err
	}
	return openapi.AnswerCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) RingCall(ctx context.Context, in openapi.RingCallRequestObject) (openapi.RingCallResponseObject, error) {
	result, err := v.control.Ringing(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID))
	if err != nil {
		return nil, err
	}
	return openapi.RingCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) HangupCall(ctx context.Context, in openapi.HangupCallRequestObject) (openapi.HangupCallResponseObject, error) {
	cause := voice.HangupCause(given(given(in.Body).Cause))
	result, err := v.control.Hangup(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), cause)
	if err != nil {
		return nil, err
	}
	return openapi.HangupCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) PlaybackCall(ctx context.Context, in openapi.PlaybackCallRequestObject) (openapi.PlaybackCallResponseObject, error) {
	c, err := recast[voice.Playback](in.Body)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	result, err := v.control.Playback(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), c, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.PlaybackCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) SayCall(ctx context.Context, in openapi.SayCallRequestObject) (openapi.SayCallResponseObject, error) {
	c, err := recast[voice.Say](in.Body)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	result, err := v.control.Say(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), c, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.SayCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) GatherCall(ctx context.Context, in openapi.GatherCallRequestObject) (openapi.GatherCallResponseObject, error) {
	c, err := recast[voice.Gather](in.Body)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	result, err := v.control.Gather(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), c, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.GatherCall202JSONResponse{CommandAcceptedJSONResponse: openapi.CommandAcceptedJSONResponse(command(&result))}, nil
}

func (v *verbs) BridgeCall(ctx context.Context, in openapi.BridgeCallRequestObject) (openapi.BridgeCallResponseObject, error) {
	bridge, err := recast[voice.Bridge](in.Body)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	bridged, err := v.control.Bridge(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), bridge, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.BridgeCall202JSONResponse{Command: command(&bridged.Command), BridgedCall: call(&bridged.Call)}, nil
}

func (v *verbs) RecordMessage(ctx context.Context, in openapi.RecordMessageRequestObject) (openapi.RecordMessageResponseObject, error) {
	c, err := recast[voice.Record](in.Body)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	recorded, err := v.control.Voicemail(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), c, q.once)
	if err != nil {
		return nil, err
	}
	result, id := command(&recorded.Command), string(recorded.Recording)
	return openapi.RecordMessage202JSONResponse{Command: &result, RecordingID: &id}, nil
}

// RecordCallChannelCall is the heart of the API.
func (v *verbs) RecordCallChannelCall(ctx context.Context, in openapi.RecordCallChannelCallRequestObject) (openapi.RecordCallChannelCallResponseObject, error) {
	body := given(in.Body)
	q := of(ctx)
	recorded, err := v.control.RecordCall(ctx, q.who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID),
		voice.RecordCall{MaxLength: given(body.MaxLength), Stereo: given(body.Stereo)}, q.once)
	if err != nil {
		return nil, err
	}
	result, id := command(&recorded.Command), string(recorded.Recording)
	return openapi.RecordCallChannelCall202JSONResponse{Command: &result, RecordingID: &id}, nil
}

// command is an accepted command as the API shows it. callFlowId and
// conditions are there for a command of a call flow only.
func command(c *voice.CommandResult) openapi.CallCommandResponse {
	id, callID, status, kind := string(c.ID), string(c.Call), string(c.Status), string(c.Kind)
	out := openapi.CallCommandResponse{
		ID: &id, CallID: &callID, CallFlowID: some(string(c.Flow)), Status: &status, Command: &kind,
	}
	out.Conditions = conditions(c.Conditions)
	return out
}

func conditions(in []voice.Condition) *[]openapi.CallFlowCommandCondition {
	if len(in) == 0 {
		return nil
	}
	out := list(in, func(c *voice.Condition) openapi.CallFlowCommandCondition {
		variable, operator, value := openapi.CallFlowCommandConditionVariable(c.Variable), openapi.CallFlowCommandConditionOperator(c.Operator), c.Value
		return openapi.CallFlowCommandCondition{Variable: &variable, Operator: &operator, Value: &value}
	})
	return &out
}

// commands are the commands of a call with what became of them.
func commands(in []voice.CommandResult) *[]openapi.CallCommand {
	if len(in) == 0 {
		return nil
	}
	out := list(in, func(c *voice.CommandResult) openapi.CallCommand {
		return openapi.CallCommand{
			ID: string(c.ID), CallID: string(c.Call), CallFlowID: some(string(c.Flow)),
			Command: openapi.CallCommandCommand(c.Kind), Status: openapi.CallCommandStatus(c.Status),
			Reason: some(c.Reason), Keys: c.Keys, Speech: c.Speech,
			RecordingID: some(string(c.Recording)), BridgedCallID: some(string(c.Bridged)),
			Conditions: conditions(c.Conditions), StartedAt: at(c.StartedAt), EndedAt: at(c.EndedAt),
		}
	})
	return &out
}
