package httpapi

import (
	"context"
	"net/http"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/subtitle"
	"tapedeck/internal/voice"
)

func (v *verbs) TranscribeRecording(ctx context.Context, in openapi.TranscribeRecordingRequestObject) (openapi.TranscribeRecordingResponseObject, error) {
	if given(in.Body.RecordingID) != "" && *in.Body.RecordingID != in.RecordingID {
		return nil, voice.Invalid(map[string][]string{"recordingId": {"is not that of the path"}})
	}
	q := of(ctx)
	t, err := v.control.TranscribeRecording(ctx, q.who, ofRecording(in.WorkspaceID, in.RecordingID), string(in.Body.Locale), q.once)
	if err != nil {
		return nil, err
	}
	return openapi.TranscribeRecording202JSONResponse(transcription(&t, q.http, voice.TextJSON)), nil
}

func (v *verbs) ListTranscriptions(ctx context.Context, in openapi.ListTranscriptionsRequestObject) (openapi.ListTranscriptionsResponseObject, error) {
	q, p := of(ctx), in.Params
	found, next, err := v.control.Transcriptions(ctx, q.who, voice.WorkspaceID(in.WorkspaceID), voice.TranscriptionFilter{
		Recording: voice.RecordingID(given(p.RecordingID)), Status: voice.TranscriptionStatus(given(p.Status)),
		Page: page(p.Limit, p.PageToken, 10),
	})
	if err != nil {
		return nil, err
	}
	shape := func(t *voice.Transcription) openapi.Transcription { return transcription(t, q.http, voice.TextJSON) }
	return openapi.ListTranscriptions200JSONResponse{Results: list(found, shape), NextPageToken: some(next)}, nil
}

func (v *verbs) GetTranscription(ctx context.Context, in openapi.GetTranscriptionRequestObject) (openapi.GetTranscriptionResponseObject, error) {
	format := voice.TextJSON
	if in.Params.Format != nil {
		format = voice.TextFormat(*in.Params.Format)
	}
	q := of(ctx)
	t, err := v.control.Transcription(ctx, q.who, ofTranscription(in.WorkspaceID, in.TranscriptionID))
	if err != nil {
		return nil, err
	}
	return openapi.GetTranscription200JSONResponse(transcription(&t, q.http, format)), nil
}

func (v *verbs) GetTranscriptionJSON(ctx context.Context, in openapi.GetTranscriptionJSONRequestObject) (openapi.GetTranscriptionJSONResponseObject, error) {
	t, err := v.said(ctx, in.WorkspaceID, in.TranscriptionID, voice.TextJSON)
	if err != nil {
		return nil, err
	}
	return openapi.GetTranscriptionJSON200JSONResponse{
		ID: string(t.ID), RecordingID: string(t.Recording), Locale: t.Locale, Stereo: t.Stereo,
		Text: string(subtitle.Plain(t.Segments, t.Stereo)),
		Segments: list(t.Segments, func(s *voice.Segment) openapi.TranscriptionSegment {
			return openapi.TranscriptionSegment{Channel: s.Channel, StartMs: s.StartMs, EndMs: s.EndMs, Text: s.Text}
		}),
	}, nil
}

func (v *verbs) GetTranscriptionText(ctx context.Context, in openapi.GetTranscriptionTextRequestObject) (openapi.GetTranscriptionTextResponseObject, error) {
	t, err := v.said(ctx, in.WorkspaceID, in.TranscriptionID, voice.TextPlain)
	return textResponse{voice.TextPlain, subtitle.Plain(t.Segments, t.Stereo)}, err
}

func (v *verbs) GetTranscriptionSRT(ctx context.Context, in openapi.GetTranscriptionSRTRequestObject) (openapi.GetTranscriptionSRTResponseObject, error) {
	t, err := v.said(ctx, in.WorkspaceID, in.TranscriptionID, voice.TextSRT)
	return textResponse{voice.TextSRT, subtitle.SRT(t.Segments, t.Stereo)}, err
}

func (v *verbs) GetTranscriptionVTT(ctx context.Context, in openapi.GetTranscriptionVTTRequestObject) (openapi.GetTranscriptionVTTResponseObject, error) {
	t, err := v.said(ctx, in.WorkspaceID, in.TranscriptionID, voice.TextVTT)
	return textResponse{voice.TextVTT, subtitle.VTT(t.Segments, t.Stereo)}, err
}

// said is a transcription that has its text.
func (v *verbs) said(ctx context.Context, ws, id string, format voice.TextFormat) (voice.Transcription, error) {
	return v.control.TranscriptionText(ctx, of(ctx).who, ofTranscription(ws, id), format)
}

// textResponse is a text as it is downloaded.
type textResponse struct {
	format voice.TextFormat
	text   []byte
}

func (t textResponse) VisitGetTranscriptionTextResponse(w http.ResponseWriter) error {
	return t.write(w)
}

func (t textResponse) VisitGetTranscriptionSRTResponse(w http.ResponseWriter) error {
	return t.write(w)
}

func (t textResponse) VisitGetTranscriptionVTTResponse(w http.ResponseWriter) error {
	return t.write(w)
}

func (t textResponse) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", t.format.ContentType())
	_, err := w.Write(t.text)
	return err
}

func ofTranscription(ws, id string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Transcription: voice.TranscriptionID(id)}
}

// transcription is a transcription as the API shows it.
func transcription(t *voice.Transcription, asked *http.Request, format voice.TextFormat) openapi.Transcription {
	out := openapi.Transcription{
		ID: string(t.ID), RecordingID: string(t.Recording), Status: openapi.TranscriptionStatus(t.Status),
		Stereo: t.Stereo, Locale: t.Locale, Summary: some(t.Summary), Problem: some(t.Problem),
		CreatedAt: openapi.Time{Time: t.CreatedAt}, UpdatedAt: openapi.Time{Time: t.UpdatedAt},
	}
	if t.Status == voice.TranscriptionAvailable {
		out.URL = some(base(asked) + "/workspaces/" + string(t.Workspace) + "/transcriptions/" + string(t.ID) + "." + string(format))
	}
	return out
}
