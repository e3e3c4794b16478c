package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) ListEvents(ctx context.Context, in openapi.ListEventsRequestObject) (openapi.ListEventsResponseObject, error) {
	q, p := of(ctx), in.Params
	f := voice.EventFilter{
		Workspace: voice.WorkspaceID(in.WorkspaceID), After: given(p.After), Types: named[voice.EventType](p.Type), Limit: 100,
	}
	if p.Limit != nil {
		f.Limit = *p.Limit
	}
	if wantsStream(q.http.Header.Values("Accept")) {
		return v.stream(ctx, q, f, p.LastEventID)
	}
	found, on, err := v.control.Events(ctx, q.who, f)
	if err != nil {
		return nil, err
	}
	out := eventPage{Results: make([]toldEvent, len(found)), After: on}
	for i := range found {
		if out.Results[i], err = event(&found[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eventPage is openapi.EventPage.
type eventPage struct {
	Results []toldEvent `json:"results"`
	After   int64       `json:"after"`
}

func (p eventPage) VisitListEventsResponse(w http.ResponseWriter) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(body, '\n'))
	return err
}

// toldEvent is openapi.Event, with a payload that need not be taken apart: a page
// has a thousand of them.
type toldEvent struct {
	ID        voice.EventID   `json:"id"`
	Seq       int64           `json:"seq"`
	Service   string          `json:"service"`
	Event     voice.EventType `json:"event"`
	CreatedAt openapi.Time    `json:"createdAt"`
	Payload   any             `json:"payload"`
}

// wantsStream reports whether Accept names the type of a stream (RFC 9110
// §12.5.1).
func wantsStream(accept []string) bool {
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, err := mime.ParseMediaType(one)
		weight, weighed := parameters["q"]
		if err == nil && kind == eventStreamType && (!weighed || strings.Trim(weight, "0.") != "") {
			return true
		}
	}
	return false
}

const eventStreamType = "text/event-stream"

// event is an event as the API shows it.
func event(e *voice.Event) (toldEvent, error) {
	payload, err := payloadOf(e)
	return toldEvent{
		ID: e.ID, Seq: e.Seq, Service: voice.ServiceChannels, Event: e.Type, CreatedAt: openapi.Time{Time: e.At}, Payload: payload,
	}, err
}

// EventBody is what receivers of webhooks get of an event. It is the same each
// time.
func EventBody(e voice.Event) ([]byte, error) {
	payload, err := payloadOf(&e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Service string          `json:"service"`
		Event   voice.EventType `json:"event"`
		Payload any             `json:"payload"`
	}{voice.ServiceChannels, e.Type, payload})
}

// payloadOf is what an event is about, in the shape that the API has for it, as it
// was when the event was stored. It has no address in it: nobody asked, so that it
// is not known by which one the server is reached.
func payloadOf(e *voice.Event) (any, error) {
	switch s := e.Subject; {
	case s.Call != nil:
		return callAt(s.Call, e.At), nil
	case s.Recording != nil:
		return recording(s.Recording, nil), nil
	case s.Transcription != nil:
		return transcriptionEvent(s.Transcription), nil
	}
	return nil, fmt.Errorf("event %s is about nothing", e.ID)
}

// toldTranscription is a transcription as events tell of it.
type toldTranscription struct {
	ID          string       `json:"id"`
	RecordingID string       `json:"recordingId"`
	Status      string       `json:"status"`
	Stereo      bool         `json:"stereo"`
	Locale      string       `json:"locale"`
	Summary     string       `json:"summary,omitempty"`
	Problem     string       `json:"problem,omitempty"`
	CreatedAt   openapi.Time `json:"createdAt"`
	UpdatedAt   openapi.Time `json:"updatedAt"`
}

func transcriptionEvent(t *voice.Transcription) toldTranscription {
	return toldTranscription{
		ID: string(t.ID), RecordingID: string(t.Recording), Status: string(t.Status), Stereo: t.Stereo, Locale: t.Locale,
		Summary: t.Summary, Problem: t.Problem, CreatedAt: openapi.Time{Time: t.CreatedAt}, UpdatedAt: openapi.Time{Time: t.UpdatedAt},
	}
}

func (v *verbs) stream(ctx context.Context, q *request, f voice.EventFilter, last *int64) (openapi.ListEventsResponseObject, error) {
	if last != nil && *last < 0 {
		return nil, &voice.Error{Code: voice.CodeInvalidParameter, Message: "The header Last-Event-ID must be the place of an event: a whole number"}
	}
	if last != nil {
		f.After = *last
	}
	f.Limit = min(f.Limit, streamAtOnce)
	leave, ok := v.streams.enter(f.Workspace)
	if !ok {
		return nil, &voice.Error{Code: voice.CodeUnavailable, Message: "There are as many streams of events as there may be: read events page by page"}
	}
	s := &eventStream{
		ctx: q.http.Context(), filter: f, who: q.who, control: v.control, ending: v.ending, leave: leave,
		key: q.http.Header.Get("Authorization"), head: q.http.Method == http.MethodHead,
	}
	// What is there to begin with is looked at now, while it can be answered with an
	// error.
	s.told = v.control.Told()
	var err error
	if s.found, s.on, err = v.control.Events(ctx, q.who, f); err != nil {
		leave()
		return nil, err
	}
	return s, nil
}
