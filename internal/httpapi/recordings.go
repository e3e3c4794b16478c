package httpapi

import (
	"context"
	"net/http"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) ListCallRecordings(ctx context.Context, in openapi.ListCallRecordingsRequestObject) (openapi.ListCallRecordingsResponseObject, error) {
	recordings, next, err := v.control.CallRecordings(ctx, of(ctx).who, ofCall(in.WorkspaceID, in.ChannelID, in.CallID), page(in.Params.Limit, in.Params.PageToken, 25))
	if err != nil {
		return nil, err
	}
	return openapi.ListCallRecordings200JSONResponse{Results: list(recordings, callRecording), NextPageToken: some(next)}, nil
}

func (v *verbs) GetCallRecording(ctx context.Context, in openapi.GetCallRecordingRequestObject) (openapi.GetCallRecordingResponseObject, error) {
	t := ofCall(in.WorkspaceID, in.ChannelID, in.CallID)
	t.Recording = voice.RecordingID(in.RecordingID)
	r, err := v.control.CallRecording(ctx, of(ctx).who, t)
	if err != nil {
		return nil, err
	}
	return openapi.GetCallRecording200JSONResponse(callRecording(&r)), nil
}

func (v *verbs) UpdateCallRecording(ctx context.Context, in openapi.UpdateCallRecordingRequestObject) (openapi.UpdateCallRecordingResponseObject, error) {
	t := ofCall(in.WorkspaceID, in.ChannelID, in.CallID)
	t.Recording = voice.RecordingID(in.RecordingID)
	r, err := v.control.UpdateRecording(ctx, of(ctx).who, t, voice.RecordingStatus(in.Body.Status), voice.PauseBehavior(given(in.Body.PauseBehavior)))
	if err != nil {
		return nil, err
	}
	return openapi.UpdateCallRecording202JSONResponse(callRecording(&r)), nil
}

func (v *verbs) ListRecordings(ctx context.Context, in openapi.ListRecordingsRequestObject) (openapi.ListRecordingsResponseObject, error) {
	p := in.Params
	f := voice.RecordingFilter{
		Channel: voice.ChannelID(given(p.ChannelID)), Call: voice.CallID(given(p.SourceID)),
		Status: voice.RecordingStatus(given(p.Status)), Direction: voice.Direction(given(p.Direction)),
		From: given(p.From), To: given(p.To), StartAt: given(p.StartAt), EndAt: given(p.EndAt),
		Page: page(p.Limit, p.PageToken, 10),
	}
	if p.ID != nil {
		if p.SourceID != nil && *p.SourceID != *p.ID {
			// Two calls at once: no recording is of both.
			return openapi.ListRecordings200JSONResponse{Results: []openapi.Recording{}}, nil
		}
		f.Call = voice.CallID(*p.ID)
	}
	q := of(ctx)
	recordings, next, err := v.control.Recordings(ctx, q.who, voice.WorkspaceID(in.WorkspaceID), f)
	if err != nil {
		return nil, err
	}
	shape := func(r *voice.Recording) openapi.Recording { return recording(r, q.http) }
	return openapi.ListRecordings200JSONResponse{Results: list(recordings, shape), NextPageToken: some(next)}, nil
}

func (v *verbs) GetRecording(ctx context.Context, in openapi.GetRecordingRequestObject) (openapi.GetRecordingResponseObject, error) {
	q := of(ctx)
	r, err := v.control.Recording(ctx, q.who, ofRecording(in.WorkspaceID, in.RecordingID))
	if err != nil {
		return nil, err
	}
	return openapi.GetRecording200JSONResponse(recording(&r, q.http)), nil
}

func (v *verbs) DeleteRecording(ctx context.Context, in openapi.DeleteRecordingRequestObject) (openapi.DeleteRecordingResponseObject, error) {
	if err := v.control.DeleteRecording(ctx, of(ctx).who, ofRecording(in.WorkspaceID, in.RecordingID)); err != nil {
		return nil, err
	}
	return openapi.DeleteRecording204Response{}, nil
}

func (v *verbs) GetRecordingReceipt(ctx context.Context, in openapi.GetRecordingReceiptRequestObject) (openapi.GetRecordingReceiptResponseObject, error) {
	receipt, err := v.control.Receipt(ctx, of(ctx).who, ofRecording(in.WorkspaceID, in.RecordingID))
	if err != nil {
		return nil, err
	}
	return receiptResponse(receipt), nil
}

// receiptResponse is a receipt byte for byte: its signature is over its bytes.
type receiptResponse []byte

func (b receiptResponse) VisitGetRecordingReceiptResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(b)
	return err
}

func ofRecording(ws, id string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Recording: voice.RecordingID(id)}
}

// callRecording is a recording as it is shown below its call.
func callRecording(r *voice.Recording) openapi.CallRecording {
	out := openapi.CallRecording{
		ID: string(r.ID), CallID: string(r.Call), ChannelID: some(string(r.Channel)),
		Status: openapi.RecordingStatus(r.Status), Origin: openapi.RecordingOrigin(r.Origin), Stereo: &r.Stereo,
		Channels: sides(r), EndCause: some(openapi.EndCause(r.EndCause)), Problem: some(r.Problem),
		CreatedAt: openapi.Time{Time: r.CreatedAt}, UpdatedAt: openapi.Time{Time: r.UpdatedAt},
		StartedAt: at(r.StartedAt), EndedAt: at(r.EndedAt),
	}
	if made(r) {
		seconds, ms := int(r.Duration/time.Second), r.Duration.Milliseconds()
		out.Duration, out.DurationMs = &seconds, &ms
	}
	return out
}

// recording is a recording as it is shown in its workspace. Without a request
// that asks for it, it has no address.
func recording(r *voice.Recording, asked *http.Request) openapi.Recording {
	originator, receiver := identifier(r.From), identifier(r.To)
	out := openapi.Recording{
		ID: string(r.ID), Source: "call", SourceID: string(r.Call), ChannelID: some(string(r.Channel)),
		Status: openapi.RecordingStatus(r.Status), Origin: openapi.RecordingOrigin(r.Origin),
		Direction: some(openapi.Direction(r.Direction)), Originator: &originator, Receiver: &receiver,
		Stereo: r.Stereo, Channels: sides(r), Format: "wav", Transcription: r.Transcribed,
		EndCause: some(openapi.EndCause(r.EndCause)), Problem: some(r.Problem),
		CreatedAt: openapi.Time{Time: r.CreatedAt}, UpdatedAt: openapi.Time{Time: r.UpdatedAt},
		StartedAt: at(r.StartedAt), EndedAt: at(r.EndedAt),
	}
	if made(r) {
		seconds, ms := int64(r.Duration/time.Second), r.Duration.Milliseconds()
		out.Duration, out.DurationMs = &seconds, &ms
	}
	if r.Status == voice.RecordingAvailable {
		out.Size, out.Sha256 = &r.Size, some(r.SHA256)
	}
	if r.Status == voice.RecordingAvailable && asked != nil {
		url := base(asked) + "/workspaces/" + string(r.Workspace) + "/recordings/" + string(r.ID) + ".wav"
		out.URL = &url
	}
	return out
}

// made reports whether a recording's length is known: a file of it was made.
func made(r *voice.Recording) bool { return r.Status == voice.RecordingAvailable || r.Duration > 0 }

// sides says whose voice is where in the file.
func sides(r *voice.Recording) *[]openapi.RecordingChannel {
	if len(r.Channels) == 0 {
		return nil
	}
	out := list(r.Channels, func(c *voice.RecordingChannel) openapi.RecordingChannel {
		return openapi.RecordingChannel{Channel: c.Channel, Party: c.Party, CallID: some(string(c.Call)), Role: openapi.RecordingChannelRole(c.Role)}
	})
	return &out
}

// base is the address that the client reached the server at, so that an address
// in an answer leads there again, also from behind a proxy that ends TLS.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
