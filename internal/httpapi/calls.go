package httpapi

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) CreateCall(ctx context.Context, in openapi.CreateCallRequestObject) (openapi.CreateCallResponseObject, error) {
	steps, err := flow(in.Body.CallFlow)
	if err != nil {
		return nil, err
	}
	amd, err := recast[*voice.AMDSettings](in.Body.AmdSettings)
	if err != nil {
		return nil, err
	}
	q := of(ctx)
	c, err := v.control.CreateCall(ctx, q.who, ofChannel(in.WorkspaceID, in.ChannelID), control.NewCall{
		To: in.Body.To, From: given(in.Body.From),
		RingTimeout: given(in.Body.RingTimeout), MaxDuration: given(in.Body.MaxDuration),
		Order: voice.CallOrder{
			Record: given(in.Body.Record), RecordStart: voice.RecordStart(given(in.Body.RecordStart)), Stereo: given(in.Body.Stereo),
			SendKeys: given(in.Body.SendKeys), FlowStart: voice.FlowStart(given(in.Body.FlowStart)), Flow: given(steps), AMD: amd,
		},
		Tags: given(in.Body.Tags), Notification: notified(in.Body.Notification), ScheduledFor: given(in.Body.ScheduledFor),
	}, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.CreateCall202JSONResponse(call(&c)), nil
}

// callQuery are the filters that both lists of calls have.
type callQuery struct {
	limit          *int
	token          *string
	startAt, endAt *time.Time
	status         *[]openapi.CallStatus
	kind           *[]openapi.CallType
	direction      *[]openapi.Direction
	id, from, to   *string
	duration       *int
	tags           *[]string
	channels       *[]string
}

func (v *verbs) ListWorkspaceCalls(ctx context.Context, in openapi.ListWorkspaceCallsRequestObject) (openapi.ListWorkspaceCallsResponseObject, error) {
	p := in.Params
	out, err := v.calls(ctx, control.Target{Workspace: voice.WorkspaceID(in.WorkspaceID)}, callQuery{
		p.Limit, p.PageToken, p.StartAt, p.EndAt, p.Status, p.Type, p.Direction, p.ID, p.From, p.To, p.Duration, p.Tag, p.ChannelID,
	})
	return openapi.ListWorkspaceCalls200JSONResponse(out), err
}

func (v *verbs) ListChannelCalls(ctx context.Context, in openapi.ListChannelCallsRequestObject) (openapi.ListChannelCallsResponseObject, error) {
	p := in.Params
	out, err := v.calls(ctx, ofChannel(in.WorkspaceID, in.ChannelID), callQuery{
		p.Limit, p.PageToken, p.StartAt, p.EndAt, p.Status, p.Type, p.Direction, p.ID, p.From, p.To, p.Duration, p.Tag, nil,
	})
	return openapi.ListChannelCalls200JSONResponse(out), err
}

func (v *verbs) calls(ctx context.Context, t control.Target, q callQuery) (openapi.CallPage, error) {
	f := voice.CallFilter{
		ID: voice.CallID(given(q.id)), From: given(q.from), To: given(q.to), Tags: given(q.tags),
		StartAt: given(q.startAt), EndAt: given(q.endAt),
		Channels:   named[voice.ChannelID](q.channels),
		Statuses:   named[voice.CallStatus](q.status),
		Types:      named[voice.CallType](q.kind),
		Directions: named[voice.Direction](q.direction),
		Page:       page(q.limit, q.token, 25),
	}
	if q.duration != nil {
		d := time.Duration(min(*q.duration, math.MaxInt32)) * time.Second
		f.Duration = &d
	}
	calls, next, err := v.control.Calls(ctx, of(ctx).who, t, f)
	if err != nil {
		return openapi.CallPage{}, err
	}
	return openapi.CallPage{Results: list(calls, call), NextPageToken: some(next)}, nil
}

// named turns an optional list of the document's strings into the inside's.
func named[Out, In ~string](in *[]In) []Out {
	if in == nil {
		return nil
	}
	out := make([]Out, len(*in))
	for i, s := range *in {
		out[i] = Out(s)
	}
	return out
}

func (v *verbs) GetCall(ctx context.Context, in openapi.GetCallRequestObject) (openapi.GetCallResponseObject, error) {
	c, err := v.control.Call(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID))
	if err != nil {
		return nil, err
	}
	return openapi.GetCall200JSONResponse(call(&c)), nil
}

func (v *verbs) UpdateCall(ctx context.Context, in openapi.UpdateCallRequestObject) (openapi.UpdateCallResponseObject, error) {
	steps, err := flow(in.Body.CallFlow)
	if err != nil {
		return nil, err
	}
	c, err := v.control.UpdateCall(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID),
		control.CallChange{Hangup: in.Body.Status != nil, Flow: steps})
	if err != nil {
		return nil, err
	}
	return openapi.UpdateCall202JSONResponse(call(&c)), nil
}

func ofCall(ws, ch, call string) control.Target {
	t := ofChannel(ws, ch)
	t.Call = voice.CallID(call)
	return t
}

// call is a call as the API shows it.
func call(c *voice.Call) openapi.Call { return callAt(c, time.Now()) }

// callAt is call as it was at a time: one that goes on has lasted until then.
func callAt(c *voice.Call, now time.Time) openapi.Call {
	out := openapi.Call{
		ID: string(c.ID), ChannelID: string(c.Channel), ParentID: some(string(c.Parent)),
		From: c.From, To: c.To, Originator: identifier(c.From), Receiver: identifier(c.To),
		Direction: openapi.Direction(c.Direction), Status: openapi.CallStatus(c.Status), Type: openapi.CallType(c.Type),
		Reason:          some(c.Reason),
		HangupCauseCode: some(c.HangupCause), HangupSource: some(openapi.HangupSource(c.HangupSource)),
		CreatedAt: openapi.Time{Time: c.CreatedAt}, UpdatedAt: openapi.Time{Time: c.UpdatedAt},
		RingingAt: at(c.RingingAt), AnsweredAt: at(c.AnsweredAt), EndedAt: at(c.EndedAt), ScheduledFor: at(c.ScheduledFor),
		AmdResult: amdResult(c.AMD), QualityInsights: quality(c.Quality),
	}
	if c.NotificationURL != "" {
		out.Notification = &openapi.Notification{URL: c.NotificationURL}
	}
	if !c.AnsweredAt.IsZero() {
		seconds := int(c.Duration(now) / time.Second)
		out.Duration = &seconds
	}
	if c.HangupSIPCode != 0 {
		code := strconv.Itoa(c.HangupSIPCode)
		out.HangupSIPCode = &code
	}
	if out.HangupSIPCode != nil || c.UserAgent != "" {
		out.SIPInsights = &openapi.SIPInsights{HangupSIPCode: out.HangupSIPCode, UserAgent: some(c.UserAgent)}
	}
	if len(c.Tags) > 0 {
		tags := append([]string{}, c.Tags...)
		out.Tags = &tags
	}
	out.Commands = commands(c.Commands)
	if c.FlowID != "" {
		out.CallFlow = &openapi.CallFlow{ID: string(c.FlowID), Commands: []openapi.CallCommandResponse{}}
		for i := range c.Commands {
			if c.Commands[i].Flow == c.FlowID {
				out.CallFlow.Commands = append(out.CallFlow.Commands, command(&c.Commands[i]))
			}
		}
	}
	return out
}

func notified(n *openapi.Notification) *voice.Notification {
	if n == nil {
		return nil
	}
	return &voice.Notification{URL: n.URL}
}

func amdResult(r *voice.AMDResult) *openapi.AmdResult {
	if r == nil {
		return nil
	}
	return &openapi.AmdResult{
		AnsweredBy: openapi.AmdResultAnsweredBy(r.AnsweredBy), Words: r.Words, Beep: r.Beep, AfterMs: r.After, DecidedAt: at(r.At),
	}
}

// quality writes its numbers as text, with two digits.
func quality(q voice.Quality) *openapi.QualityInsights {
	out := &openapi.QualityInsights{}
	if q.PDD > 0 {
		out.Pdd = some(strconv.FormatFloat(q.PDD.Seconds(), 'f', 2, 64))
	}
	if q.MOS > 0 {
		out.Mos = some(strconv.FormatFloat(q.MOS, 'f', 2, 64))
	}
	if out.Pdd == nil && out.Mos == nil {
		return nil
	}
	return out
}

// identifier is a party of a call.
func identifier(party string) openapi.CallIdentifier {
	var out openapi.CallIdentifier
	out.Number.Number, out.Number.Type = party, openapi.CallType(voice.CallPSTN)
	if len(party) > 4 && strings.EqualFold(party[:4], "sip:") {
		out.Number.Type = openapi.CallType(voice.CallSIP)
	}
	if party == "" || strings.EqualFold(party, "anonymous") {
		hidden := true
		out.Number.Anonymous = &hidden
	}
	return out
}
