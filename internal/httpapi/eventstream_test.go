package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/voice"
)

// told is a source of events whose types are those of a call, and of others that a
// filter leaves out.
type told struct {
	last    int64
	gone    error
	revoked error
	more    chan struct{}
	asked   []int64 // after which place
}

func (s *told) Authenticate(context.Context, string) (voice.Principal, error) {
	return voice.Principal{}, s.revoked
}

func (s *told) Told() <-chan struct{} { return s.more }

// NextEvents: every tenth event is one of the filter's.
func (s *told) NextEvents(_ context.Context, _ voice.Principal, f voice.EventFilter) (out []voice.Event, on int64, err error) {
	s.asked = append(s.asked, f.After)
	for seq := f.After + 1; seq <= s.last; seq++ {
		if seq%10 == 0 {
			out = append(out, callEvent(seq))
		}
		if len(out) == f.Limit {
			return out, seq, s.gone
		}
	}
	return out, max(s.last, f.After), s.gone
}

// tell makes events up to a place.
func (s *told) tell(last int64) {
	was := s.more
	s.last, s.more = last, make(chan struct{})
	close(was)
}

func callEvent(seq int64) voice.Event {
	return voice.Event{Seq: seq, ID: voice.EventID(fmt.Sprint(seq)), Type: voice.EventInbound, Subject: voice.Subject{Call: &voice.Call{ID: "c"}}}
}

// listening runs a stream in a bubble of synctest. What it sent is in the recorder
// whenever it waits.
type listening struct {
	*told
	sent   *httptest.ResponseRecorder
	err    error
	over   chan struct{} // closed when the stream is
	ending chan struct{}
	cancel func()
	places *streams
}

func listen(t *testing.T, from int64, source *told) *listening {
	source.more = make(chan struct{})
	l := &listening{
		told: source, sent: httptest.NewRecorder(),
		over: make(chan struct{}), ending: make(chan struct{}), places: newStreams(),
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	leave, ok := l.places.enter("w")
	if !ok {
		t.Fatal("there is no place")
	}
	s := &eventStream{
		ctx: ctx, control: l.told, filter: voice.EventFilter{Workspace: "w", After: from, Limit: streamAtOnce}, on: from,
		ending: l.ending, leave: leave, told: l.more,
	}
	go func() {
		l.err = s.VisitListEventsResponse(l.sent)
		close(l.over)
	}()
	synctest.Wait()
	return l
}

// ids are the places that were sent, in order.
func (l *listening) ids() (out []string) {
	for line := range strings.Lines(l.sent.Body.String()) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			out = append(out, strings.TrimSpace(id))
		}
	}
	return out
}

// end waits for the end of the stream.
func (l *listening) end(t *testing.T) {
	t.Helper()
	<-l.over
	l.cancel()
	if l.err != nil || l.places.all != 0 || len(l.places.count) != 0 {
		t.Errorf("it ended with %v and left %+v", l.err, l.places)
	}
}

// TestStreamMovesOn: what a filter leaves out is looked through once, and a
// heartbeat tells the client that it has had it.
func TestStreamMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, 3, &told{})
		l.tell(9)
		synctest.Wait()
		l.tell(12)
		synctest.Wait()
		l.tell(17)
		synctest.Wait()
		// Nothing is read before the heartbeat: it is the clock that begins it, not us.
		<-time.After(beat)
		synctest.Wait()
		if got, want := fmt.Sprint(l.asked), "[3 9 12 17]"; got != want {
			t.Errorf("asked after %s, want %s", got, want)
		}
		if got, want := fmt.Sprint(l.ids()), "[10 17]"; got != want || !strings.HasSuffix(l.sent.Body.String(), "\n\nid: 17\n\n") {
			t.Errorf("sent %s, want %s: %q", got, want, l.sent.Body)
		}
		close(l.ending)
		l.end(t)
	})
}

// TestStreamOfMany: what is there is sent piece by piece, whole and in order.
func TestStreamOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, 0, &told{})
		l.tell(2000)
		synctest.Wait()
		want := make([]string, 200)
		for i := range want {
			want[i] = fmt.Sprint(10 * (i + 1))
		}
		if got := l.ids(); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("sent %q", got)
		}
		if len(l.asked) != 200/streamAtOnce+1 {
			t.Errorf("asked after %v", l.asked)
		}
		l.cancel()
		l.end(t)
	})
}

// TestStreamEnds: a key that is revoked or has lost its right, and events that are
// not kept any more, end a stream in good order.
func TestStreamEnds(t *testing.T) {
	for name, source := range map[string]told{
		"revoked": {revoked: &voice.Error{Code: voice.CodeUnauthorized}},
		"gone":    {gone: &voice.Error{Code: voice.CodeEventsGone}},
		"policy":  {gone: &voice.Error{Code: voice.CodeForbidden}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listen(t, 0, &source).end(t) // within a heartbeat
			})
		})
	}
}

// TestStreamPlaces: neither one workspace nor all of them have more than there are.
func TestStreamPlaces(t *testing.T) {
	s := newStreams()
	for i := range maxStreams {
		ws := voice.WorkspaceID(fmt.Sprint(i / maxStreamsEach))
		if _, ok := s.enter(ws); !ok {
			t.Fatalf("no place for stream %d", i)
		}
		if leave, ok := s.enter(ws); ok {
			leave()
			if (i+1)%maxStreamsEach == 0 {
				t.Fatalf("workspace %s has more than %d places", ws, maxStreamsEach)
			}
		}
	}
	if _, ok := s.enter("other"); ok {
		t.Error("there are more places than there may be")
	}
}

// TestBadLastEventID: it is said what is wrong, and with which header.
func TestBadLastEventID(t *testing.T) {
	v := &verbs{streams: newStreams()}
	last := int64(-1)
	_, err := v.stream(t.Context(), &request{http: httptest.NewRequest(http.MethodGet, "/", nil)}, voice.EventFilter{}, &last)
	if voice.CodeOf(err) != voice.CodeInvalidParameter || !strings.Contains(err.Error(), "Last-Event-ID") {
		t.Error(err)
	}
}
