package voice

import (
	"maps"
	"slices"
	"testing"
)

// TestWants: of one key several values are alternatives, all keys must hold, and
// nothing of another workspace is told.
func TestWants(t *testing.T) {
	event := Event{Workspace: "w", Type: EventInbound, Channel: "c", Status: "ringing"}
	for _, tt := range []struct {
		name    string
		filters []SubscriptionFilter
		want    bool
	}{
		{"no filter", nil, true},
		{"its channel", []SubscriptionFilter{{FilterChannel, "c"}}, true},
		{"another channel", []SubscriptionFilter{{FilterChannel, "d"}}, false},
		{"one of the statuses", []SubscriptionFilter{{FilterStatus, "completed"}, {FilterStatus, "ringing"}}, true},
		{"none of the statuses", []SubscriptionFilter{{FilterStatus, "completed"}, {FilterStatus, "busy"}}, false},
		{"status and channel", []SubscriptionFilter{{FilterStatus, "ringing"}, {FilterChannel, "d"}}, false},
		{"an unknown key", []SubscriptionFilter{{"tag", "x"}}, false},
	} {
		s := Subscription{Workspace: "w", Event: EventInbound, Status: SubscriptionActive, Filters: tt.filters}
		if got := s.Wants(&event); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for _, s := range []Subscription{
		{Workspace: "x", Event: EventInbound, Status: SubscriptionActive},
		{Workspace: "w", Event: EventOutbound, Status: SubscriptionActive},
		{Workspace: "w", Event: EventInbound},
	} {
		if s.Wants(&event) {
			t.Errorf("%+v wants it", s)
		}
	}
}

// TestEventsOfRecordings: every step in a recording's life has its event.
func TestEventsOfRecordings(t *testing.T) {
	for _, tt := range []struct {
		from, to RecordingStatus
		cause    EndCause
		want     EventType
	}{
		{"", RecordingAccepted, "", ""},
		{RecordingAccepted, RecordingOngoing, "", EventRecordingStarted},
		{"", RecordingOngoing, "", EventRecordingStarted},
		{RecordingOngoing, RecordingPaused, "", EventRecordingPaused},
		{RecordingPaused, RecordingOngoing, "", EventRecordingResumed},
		{RecordingOngoing, RecordingOngoing, "", ""},
		{RecordingOngoing, RecordingCompleted, EndStopped, EventRecordingCompleted},
		{RecordingCompleted, RecordingAvailable, EndStopped, EventRecordingAvailable},
		{RecordingAccepted, RecordingAbsent, EndNotAnswered, EventRecordingAbsent},
		{RecordingAvailable, RecordingAbsent, EndDeleted, EventRecordingDeleted},
		{RecordingCompleted, RecordingFailed, EndStorageFailed, EventRecordingFailed},
	} {
		if got := RecordingEventOf(tt.from, tt.to, tt.cause); got != tt.want {
			t.Errorf("%s to %s: %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// TestTranscriptionStates: the whole state machine of a transcription.
func TestTranscriptionStates(t *testing.T) {
	may := map[TranscriptionStatus][]TranscriptionStatus{
		TranscriptionAccepted:  {TranscriptionOngoing, TranscriptionAbsent, TranscriptionFailed},
		TranscriptionOngoing:   {TranscriptionAccepted, TranscriptionAvailable, TranscriptionAbsent, TranscriptionFailed},
		TranscriptionAvailable: {TranscriptionAbsent},
		TranscriptionFailed:    {TranscriptionAbsent},
		TranscriptionAbsent:    nil,
	}
	for from, list := range may {
		allowed := map[TranscriptionStatus]bool{}
		for _, to := range list {
			allowed[to] = true
		}
		for _, to := range TranscriptionStatuses() {
			if got := to.MayFollow(from); got != allowed[to] {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
}

// TestLocales: no list holds a locale twice, and each holds the default.
func TestLocales(t *testing.T) {
	for name, list := range map[string][]string{
		"gather": GatherLocales(), "record": RecordLocales(), "say": SayLocales(), "transcription": TranscriptionLocales(),
	} {
		seen := map[string]bool{}
		for _, l := range list {
			if seen[l] {
				t.Errorf("%s has %s twice", name, l)
			}
			seen[l] = true
		}
		if !seen[DefaultLocale] {
			t.Errorf("%s has no %s", name, DefaultLocale)
		}
	}
}

// TestSubscriptionFaults: every fault is said, by the member that has it.
func TestSubscriptionFaults(t *testing.T) {
	const channel = "0192F0A0-0000-7000-8000-000000000001"
	status := func(v string) []SubscriptionFilter { return []SubscriptionFilter{{FilterStatus, v}} }
	for _, tt := range []struct {
		name  string
		event EventType
		list  []SubscriptionFilter
		want  []string
	}{
		{"no filter", EventInbound, nil, nil},
		{"a channel and statuses", EventOutbound, []SubscriptionFilter{{FilterChannel, channel}, {FilterStatus, "busy"}, {FilterStatus, "completed"}}, nil},
		{"two channels", EventInbound, []SubscriptionFilter{{FilterChannel, channel}, {FilterChannel, channel}}, []string{"eventFilters.1.value"}},
		{"no id", EventInbound, []SubscriptionFilter{{FilterChannel, "x"}}, []string{"eventFilters.0.value"}},
		{"no key", EventInbound, []SubscriptionFilter{{"tag", "x"}}, []string{"eventFilters.0.key"}},
		{"a status of calls", EventInbound, status("available"), []string{"eventFilters.0.value"}},
		{"a status that the event never has", EventRecordingStarted, status("paused"), []string{"eventFilters.0.value"}},
		{"no event", "recording.lost", nil, []string{"event"}},
	} {
		s := Subscription{Service: ServiceChannels, Event: tt.event, Filters: tt.list}
		if got := slices.Sorted(maps.Keys(s.Faults())); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", tt.name, s.Faults())
		}
	}
	s := Subscription{Service: "numbers", Event: EventInbound, Filters: []SubscriptionFilter{{FilterChannel, channel}}}
	if f := s.Faults(); len(f) != 1 || f["service"] == nil || s.Filters[0].Value != "0192f0a0-0000-7000-8000-000000000001" {
		t.Errorf("%v, %+v", f, s)
	}
}

// TestEventStatuses: every event has statuses, and those that it comes with are
// among them.
func TestEventStatuses(t *testing.T) {
	for _, e := range EventTypes() {
		if len(eventStatuses(e)) == 0 {
			t.Errorf("%s has no status", e)
		}
	}
	for _, from := range append(RecordingStatuses(), "") {
		for _, to := range RecordingStatuses() {
			for _, cause := range append(EndCauses(), "") {
				if e := RecordingEventOf(from, to, cause); e != "" && !slices.Contains(eventStatuses(e), string(to)) {
					t.Errorf("%s comes with %s", e, to)
				}
			}
		}
	}
}

// TestLike: the order of filters makes no other subscription.
func TestLike(t *testing.T) {
	a := Subscription{Workspace: "w", Event: EventInbound, Filters: []SubscriptionFilter{{FilterStatus, "busy"}, {FilterChannel, "c"}, {FilterStatus, "busy"}}}
	b := Subscription{Workspace: "w", Event: EventInbound, URL: "other", Filters: []SubscriptionFilter{{FilterChannel, "c"}, {FilterStatus, "busy"}}}
	c := b
	c.Filters = c.Filters[:1]
	if !a.Like(&b) || b.Like(&c) || len(a.Filters) != 3 {
		t.Errorf("%v %v %v", a.Like(&b), b.Like(&c), a.Filters)
	}
}
