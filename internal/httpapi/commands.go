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
	if len(c.Conditions) > 0 {
		conditions := list(c.Conditions, func(c *voice.Condition) openapi.CallFlowCommandCondition {
			variable, operator, value := openapi.CallFlowCommandConditionVariable(c.Variable), openapi.CallFlowCommandConditionOperator(c.Operator), c.Value
			return openapi.CallFlowCommandCondition{Variable: &variable, Operator: &operator, Value: &value}
		})
		out.Conditions = &conditions
	}
	return out
}
