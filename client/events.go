package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"
)

// Call reads the call that an event of voice is about, as it was then.
func (e *Event) Call() (Call, error) { return subject[Call](e) }

// Recording reads the recording that an event is about, as it was then.
func (e *Event) Recording() (Recording, error) { return subject[Recording](e) }

// Transcription reads the transcription that an event is about, as it was then.
func (e *Event) Transcription() (Transcription, error) { return subject[Transcription](e) }

func subject[T any](e *Event) (out T, err error) {
	if err := json.Unmarshal(e.Payload, &out); err != nil {
		return out, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return out, nil
}

// maxEvent is the most that is read of one event.
const maxEvent = 4 << 20

// errQuiet ends a stream in which nothing comes, not even a sign of life.
var errQuiet = errors.New("the stream of events fell silent")

// errForeign means that what comes is not the stream of a Tapedeck server.
var errForeign = errors.New("an event is no JSON of ours")

// Events follows what happens from the place after on (Event.Seq; 0 is the
// oldest that is kept), of these types or of all, and does not end by itself: when
// the stream breaks off, it goes on where it was. A program that remembers the Seq
// of the last event that it dealt with misses nothing, whoever is restarted. It
// ends with an error when ctx does, when the server refuses (CodeEventsGone: what
// comes after the place is not kept any more), or when it cannot be reached to
// begin with.
func (c *Client) Events(ctx context.Context, after int64, types ...EventType) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &eventStream{c: c, after: after, types: types, yield: yield}
		gap := c.o.Pause
		for failed := 1; ; failed++ {
			s.heard = false
			err := s.listen(ctx)
			if s.left {
				return
			}
			if s.heard {
				failed, gap = 0, c.o.Pause
			}
			wait, again := worth(err, true)
			if !again || errors.Is(err, errForeign) || ctx.Err() != nil || !s.begun && failed >= c.o.Attempts {
				yield(Event{}, fmt.Errorf("events after %d: %w", s.after, err))
				return
			}
			if cut := pause(ctx, max(wait, gap)); cut != nil {
				yield(Event{}, fmt.Errorf("events after %d: %w", s.after, cut))
				return
			}
			gap = min(2*gap, c.o.Timeout)
		}
	}
}

// LastEvent reads on to the newest event of these types, or of all, and returns
// its place; 0 when there is none. From there on, Events gives what is new.
func (c *Client) LastEvent(ctx context.Context, types ...EventType) (int64, error) {
	for after := int64(0); ; {
		page, err := c.ListEvents(ctx, ListEventsParams{After: after, Limit: 1000, Type: types})
		if err != nil || page.After == after {
			return after, err
		}
		after = page.After
	}
}

// eventStream is one going-through of Events.
type eventStream struct {
	c     *Client
	after int64
	types []EventType
	yield func(Event, error) bool

	begun bool // the server has streamed once
	heard bool // something came in this turn
	left  bool // the consumer has had enough
}

// listen asks for the stream once, and takes what comes until it ends.
func (s *eventStream) listen(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(s.c.o.Timeout, func() { cancel(errQuiet) })
	defer quiet.Stop()
	defer func() {
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause
		}
	}()
	r := request{method: http.MethodGet, path: "/workspaces/{workspaceId}/events", ids: []string{s.c.workspace}}
	r.query("type", s.types)
	to, err := r.address(s.c.root)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, to, nil)
	if err != nil {
		return err
	}
	s.c.header(req)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", strconv.FormatInt(s.after, 10))
	resp, err := s.c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // what was read of it counts
	if resp.StatusCode >= 400 {
		return refusal(resp)
	}
	s.begun = true
	return s.take(resp.Body, func() { quiet.Reset(s.c.o.Timeout) })
}

// take reads a stream of server-sent events (WHATWG HTML, section 9.2). An id
// without data is the place behind events of other types. The type of an event
// stands in its data, too.
func (s *eventStream) take(body io.Reader, alive func()) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	var data []byte
	place := s.after
	for lines.Scan() {
		alive()
		s.heard = true
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			data = append(append(data, value...), '\n')
			continue
		case "id":
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
				place = n
			}
			continue
		}
		if len(lines.Bytes()) > 0 {
			continue // a comment, or what the data says, too
		}
		if len(data) > 0 {
			var e Event
			if err := json.Unmarshal(data, &e); err != nil {
				return fmt.Errorf("%w: %w", errForeign, err)
			}
			data, place = data[:0], max(place, e.Seq)
			if s.left = !s.yield(e, nil); s.left {
				return nil
			}
		}
		s.after = max(s.after, place)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
