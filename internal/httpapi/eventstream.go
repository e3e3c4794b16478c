package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"tapedeck/internal/voice"
)

// How many streams of events there may be at once, so that neither one workspace
// takes all places nor all of them the memory; and how many events a stream holds:
// a client that does not read has the server keep no more for it.
const (
	maxStreams     = 256
	maxStreamsEach = 64 // of a workspace
	streamAtOnce   = 16
)

// beat is how often a stream without events shows that it lives, and how long a
// key that was revoked may go on reading.
const beat = 15 * time.Second

// streams counts the streams of events that are open.
type streams struct {
	mu    sync.Mutex // guards the rest; held for moments
	all   int
	count map[voice.WorkspaceID]int
}

func newStreams() *streams { return &streams{count: map[voice.WorkspaceID]int{}} }

// enter takes a place; false = there is none. leave gives it back, once.
func (s *streams) enter(ws voice.WorkspaceID) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.count[ws] >= maxStreamsEach {
		return nil, false
	}
	s.all++
	s.count[ws]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.count[ws]--; s.count[ws] == 0 {
			delete(s.count, ws)
		}
	}, true
}

// eventSource is what a stream asks of control.
type eventSource interface {
	Authenticate(ctx context.Context, authorization string) (voice.Principal, error)
	NextEvents(context.Context, voice.Principal, voice.EventFilter) ([]voice.Event, int64, error)
	Told() <-chan struct{}
}

// eventStream is a stream of server-sent events (WHATWG HTML, section 9.2). It
// ends when the client goes, when its key is revoked, when events that it has not
// had were forgotten, or when the server ends; the client then comes again with
// Last-Event-ID.
type eventStream struct {
	ctx     context.Context //nolint:containedctx // that of the request, which the generated code does not hand on
	control eventSource
	filter  voice.EventFilter
	who     voice.Principal
	key     string          // what the client said who it is
	ending  <-chan struct{} // closed when the server is to end
	leave   func()          // gives the place among the streams back
	head    bool            // only the header is asked for

	told  <-chan struct{} // closed when there may be more than found
	found []voice.Event
	on    int64 // where to read on after found
}

// VisitListEventsResponse sends events until the stream ends.
func (s *eventStream) VisitListEventsResponse(w http.ResponseWriter) error {
	defer s.leave()
	w.Header().Set("Content-Type", eventStreamType)
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather it
	if s.head {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	err := s.run(&stream{ResponseWriter: w, control: http.NewResponseController(w)})
	if errors.Is(err, errStreamOver) {
		return nil
	}
	return err
}

// errStreamOver ends a stream: nobody listens any more, or the client comes again
// and is told then.
var errStreamOver = errors.New("the stream is over")

func (s *eventStream) run(out *stream) error {
	if err := send(out, []byte(": tapedeck\n\n")); err != nil {
		return err
	}
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		if err := s.send(out); err != nil {
			return err
		}
		if len(s.found) < s.filter.Limit { // nothing more waits
			select {
			case <-s.ctx.Done():
				return errStreamOver
			case <-s.ending:
				return errStreamOver
			case <-beats.C:
				if err := s.beat(out); err != nil {
					return err
				}
			case <-s.told:
			}
		}
		if err := s.more(); err != nil {
			return err
		}
	}
}

// beat shows that the stream lives, and moves the client on: what the filter left
// out need not be looked through again when it comes again, and may have been
// forgotten by then.
func (s *eventStream) beat(out *stream) (err error) {
	if s.who, err = s.control.Authenticate(s.ctx, s.key); err != nil {
		return errStreamOver
	}
	if s.filter.After == 0 {
		return send(out, []byte(":\n\n"))
	}
	return send(out, fmt.Appendf(nil, "id: %d\n\n", s.filter.After))
}

// more looks for what comes next.
func (s *eventStream) more() (err error) {
	s.told = s.control.Told() // before we look
	s.found, s.on, err = s.control.NextEvents(s.ctx, s.who, s.filter)
	if code := voice.CodeOf(err); err != nil && (code == voice.CodeEventsGone || code == voice.CodeForbidden || s.ctx.Err() != nil) {
		return errStreamOver
	}
	return err
}

// send sends what was found.
func (s *eventStream) send(out *stream) error {
	for i := range s.found {
		shape, err := event(&s.found[i])
		if err != nil {
			return err
		}
		data, err := json.Marshal(shape)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", shape.Seq, shape.Event, data)
		if err := send(out, b.Bytes()); err != nil {
			return err
		}
	}
	s.filter.After = s.on
	return nil
}

// send sends a piece at once.
func send(out *stream, piece []byte) error {
	_, err := out.Write(piece)
	if err == nil {
		err = out.control.Flush()
	}
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errStreamOver // the client has gone; there is nobody to tell
	}
	return nil
}
