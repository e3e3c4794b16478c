package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) RenderRecording(ctx context.Context, in openapi.RenderRecordingRequestObject) (openapi.RenderRecordingResponseObject, error) {
	body := given(in.Body)
	q := of(ctx)
	r, err := v.control.RenderAgain(ctx, q.who, ofRecording(in.WorkspaceID, in.RecordingID), control.RenderOrder{
		Stereo: body.Stereo, Swap: given(body.Swap), Format: voice.AudioFormat(given(body.Format)),
	}, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.RenderRecording202JSONResponse(render(&r, q.http)), nil
}

func (v *verbs) ListRenders(ctx context.Context, in openapi.ListRendersRequestObject) (openapi.ListRendersResponseObject, error) {
	q := of(ctx)
	renders, next, err := v.control.Renders(ctx, q.who, ofRecording(in.WorkspaceID, in.RecordingID), page(in.Params.Limit, in.Params.PageToken, 10))
	if err != nil {
		return nil, err
	}
	shape := func(r *voice.Render) openapi.Render { return render(r, q.http) }
	return openapi.ListRenders200JSONResponse{Results: list(renders, shape), NextPageToken: some(next)}, nil
}

func (v *verbs) GetRender(ctx context.Context, in openapi.GetRenderRequestObject) (openapi.GetRenderResponseObject, error) {
	q := of(ctx)
	r, err := v.control.Render(ctx, q.who, ofRender(in.WorkspaceID, in.RecordingID, in.RenderID))
	if err != nil {
		return nil, err
	}
	return openapi.GetRender200JSONResponse(render(&r, q.http)), nil
}

func (v *verbs) GetRenderAudio(ctx context.Context, in openapi.GetRenderAudioRequestObject) (openapi.GetRenderAudioResponseObject, error) {
	return v.renderAudio(ctx, ofRender(in.WorkspaceID, in.RecordingID, in.RenderID))
}

func (v *verbs) HeadRenderAudio(ctx context.Context, in openapi.HeadRenderAudioRequestObject) (openapi.HeadRenderAudioResponseObject, error) {
	return v.renderAudio(ctx, ofRender(in.WorkspaceID, in.RecordingID, in.RenderID))
}

func (v *verbs) renderAudio(ctx context.Context, t control.Target) (*audioResponse, error) {
	q := of(ctx)
	audio, err := v.control.RenderAudio(ctx, q.who, t)
	if err != nil {
		return nil, err
	}
	return &audioResponse{audio: audio, asked: q.http}, nil
}

func (v *verbs) GetRenderReceipt(ctx context.Context, in openapi.GetRenderReceiptRequestObject) (openapi.GetRenderReceiptResponseObject, error) {
	receipt, err := v.control.RenderReceipt(ctx, of(ctx).who, ofRender(in.WorkspaceID, in.RecordingID, in.RenderID))
	if err != nil {
		return nil, err
	}
	return receiptResponse(receipt), nil
}

func (b receiptResponse) VisitGetRenderReceiptResponse(w http.ResponseWriter) error {
	return b.VisitGetRecordingReceiptResponse(w)
}

func ofRender(ws, recording, id string) control.Target {
	t := ofRecording(ws, recording)
	t.Render = voice.RenderID(id)
	return t
}

// render is a render as the API shows it.
func render(r *voice.Render, asked *http.Request) openapi.Render {
	out := openapi.Render{
		ID: string(r.ID), RecordingID: string(r.Recording), Status: openapi.RenderStatus(r.Status), Problem: some(r.Problem),
		Stereo: r.Stereo, Swap: r.Swap, Format: openapi.AudioFormat(r.Format),
		CreatedAt: openapi.Time{Time: r.CreatedAt}, UpdatedAt: openapi.Time{Time: r.UpdatedAt},
	}
	if r.Status != voice.RenderAvailable {
		return out
	}
	seconds, ms := int64(r.Duration/time.Second), r.Duration.Milliseconds()
	out.Duration, out.DurationMs, out.Size, out.Sha256 = &seconds, &ms, &r.Size, &r.SHA256
	at := base(asked) + "/workspaces/" + string(r.Workspace) + "/recordings/" + string(r.Recording) + "/renders/" + string(r.ID)
	audio, receipt := at+"/audio", at+"/receipt"
	out.URL, out.ReceiptURL = &audio, &receipt
	return out
}

// defaultPoints is about as many as a screen has columns for a picture.
const defaultPoints = 800

func (v *verbs) GetRecordingPeaks(ctx context.Context, in openapi.GetRecordingPeaksRequestObject) (openapi.GetRecordingPeaksResponseObject, error) {
	points := defaultPoints
	if in.Params.Points != nil {
		points = *in.Params.Points
	}
	q := of(ctx)
	found, final, err := v.control.Peaks(ctx, q.who, ofRecording(in.WorkspaceID, in.RecordingID), points)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(peaks(in.RecordingID, &found, final))
	if err != nil {
		return nil, err
	}
	return &peaksResponse{body: body, final: final, asked: q.http}, nil
}

// peaks are shown as columns: that is how they are drawn, and a third of the
// text that objects would make.
func peaks(recording string, p *voice.Peaks, final bool) openapi.Peaks {
	out := openapi.Peaks{
		RecordingID: recording, Final: final, SampleRate: p.SampleRate, Samples: p.Samples,
		Channels: []openapi.PeaksChannel{},
	}
	if rate := int64(p.SampleRate); rate > 0 {
		out.DurationMs = (p.Samples*1000 + rate/2) / rate // rounded as in the receipt
	}
	for _, side := range p.Sides {
		c := openapi.PeaksChannel{Min: make([]int, len(side.Min)), Max: make([]int, len(side.Max))}
		for i := range side.Min {
			c.Min[i], c.Max[i] = int(side.Min[i]), int(side.Max[i])
		}
		out.Points = len(c.Min)
		out.Channels = append(out.Channels, c)
	}
	return out
}

// peaksResponse is a document that can be asked for conditionally.
type peaksResponse struct {
	body  []byte
	final bool
	asked *http.Request
}

func (p *peaksResponse) VisitGetRecordingPeaksResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	if p.final {
		sum := sha256.Sum256(p.body)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	}
	out := &stream{ResponseWriter: w, control: http.NewResponseController(w), whole: true}
	if err := out.more(); err != nil {
		return err
	}
	asked := p.asked.Clone(p.asked.Context())
	asked.Header.Del("Range") // a part of a JSON document is of no use, and a range may be ignored (RFC 9110 §14.2)
	http.ServeContent(out, asked, "", time.Time{}, bytes.NewReader(p.body))
	return nil
}
