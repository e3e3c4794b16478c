package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tapedeck/internal/voice"
)

// maxStreams is how many streams of events there may be at once.
const maxStreams = 256

// beat is how often a stream without events shows that it lives, and how long a
// key that was revoked may go on reading.
const beat = 15 * time.Second

// eventStream is a stream of server-sent events (WHATWG HTML, section 9.2). It
// ends when the client goes, when its key is revoked, when events that it has not
// had were forgotten, or when the server ends; the client then comes again with
// Last-Event-ID.
type eventStream struct {
	ctx      context.Context //nolint:containedctx // that of the request, which the generated code does not hand on
	filter   voice.EventFilter
	found    []voice.Event   // to begin with
	told     <-chan struct{} // closed when there may be more
	more     func(context.Context, voice.EventFilter) ([]voice.Event, <-chan struct{}, error)
	mayStill func(context.Context) error
	ending   <-chan struct{} // closed when the server is to end
	leave    func()          // gives the place among the streams back
	head     bool            // only the header is asked for
}

// VisitListEventsResponse sends events until the stream ends.
func (s *eventStream) VisitListEventsResponse(w http.ResponseWriter) error {
	defer s.leave()
	w.Header().Set("Content-Type", eventStreamType)
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather it
	out := &stream{ResponseWriter: w, control: http.NewResponseController(w)}
	if s.head {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	beats := time.NewTicker(beat)
	defer beats.Stop()
	if err := send(out, []byte(": tapedeck\n\n")); err != nil {
		return nil // the client has gone; there is nobody to tell
	}
	for {
		sent, err := s.send(out)
		if err != nil {
			return err
		}
		if !sent {
			return nil
		}
		if len(s.found) < s.filter.Limit { // that was all for now
			select {
			case <-s.ctx.Done():
				return nil
			case <-s.ending:
				return nil
			case <-beats.C:
				if s.mayStill(s.ctx) != nil || send(out, []byte(":\n\n")) != nil {
					return nil // the client comes again, and is told then
				}
			case <-s.told:
			}
		}
		if s.found, s.told, err = s.more(s.ctx, s.filter); err != nil {
			if voice.CodeOf(err) == voice.CodeEventsGone || s.ctx.Err() != nil {
				return nil // the client comes again, and is told then
			}
			return err
		}
	}
}

// send sends what was found. It reports false when the client has gone.
func (s *eventStream) send(out *stream) (bool, error) {
	for i := range s.found {
		shape, err := event(&s.found[i])
		if err != nil {
			return false, err
		}
		data, err := json.Marshal(shape)
		if err != nil {
			return false, err
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", shape.Seq, shape.Event, data)
		if gone := send(out, b.Bytes()) != nil; gone {
			return false, nil
		}
		s.filter.After = shape.Seq
	}
	return true, nil
}

// send sends a piece at once.
func send(out *stream, piece []byte) error {
	if _, err := out.Write(piece); err != nil {
		return err
	}
	if err := out.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
