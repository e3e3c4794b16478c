package voice

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ServiceChannels is the service whose events can be subscribed to.
const ServiceChannels = "channels"

// MaxSameSubscriptions is how many subscriptions of a workspace may ask for the
// same event with the same filters.
const MaxSameSubscriptions = 5

// The keys of an event filter. Of one key several values are alternatives; all
// keys must hold.
const (
	FilterChannel = "channelId" // one at most
	FilterStatus  = "status"
)

// SubscriptionFilter narrows a subscription.
type SubscriptionFilter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SubscriptionActive is the status of a subscription that is served.
const SubscriptionActive = "active"

// Subscription asks for events by webhook.
type Subscription struct {
	ID         SubscriptionID
	Workspace  WorkspaceID
	Service    string
	Event      EventType
	Filters    []SubscriptionFilter
	Template   string
	URL        string
	SigningKey string // empty = deliveries are not signed
	Status     string

	CreatedAt, UpdatedAt time.Time
}

// Wants reports whether the subscription asks for the event.
func (s *Subscription) Wants(e *Event) bool {
	if s.Workspace != e.Workspace || s.Event != e.Type || s.Status != SubscriptionActive {
		return false
	}
	held := map[string]bool{}
	for _, f := range s.Filters {
		value := ""
		switch f.Key {
		case FilterChannel:
			value = string(e.Channel)
		case FilterStatus:
			value = e.Status
		}
		held[f.Key] = held[f.Key] || value == f.Value
	}
	for _, holds := range held {
		if !holds {
			return false
		}
	}
	return true
}

// Faults lists what is wrong with a subscription, by member as the API names it,
// and writes ids as they are kept. Whether the address may be reached is for
// others to say.
func (s *Subscription) Faults() map[string][]string {
	faults := map[string][]string{}
	say := func(member, why string) { faults[member] = append(faults[member], why) }
	if s.Service != ServiceChannels {
		say("service", "must be "+ServiceChannels)
	}
	if !slices.Contains(EventTypes(), s.Event) {
		say("event", "is not a known event")
	}
	channels := 0
	for i := range s.Filters {
		f, member := &s.Filters[i], fmt.Sprintf("eventFilters.%d.value", i)
		switch f.Key {
		case FilterChannel:
			id, err := CanonicalID(f.Value)
			if err != nil {
				say(member, "is not a channel's id: "+err.Error())
				break
			}
			f.Value = id
			if channels++; channels > 1 {
				say(member, "is a second channel: there may be one")
			}
		case FilterStatus:
			if all := eventStatuses(s.Event); !slices.Contains(all, f.Value) {
				say(member, "is no status that "+string(s.Event)+" has: they are "+strings.Join(all, ", "))
			}
		default:
			say(fmt.Sprintf("eventFilters.%d.key", i), "must be one of "+FilterChannel+", "+FilterStatus)
		}
	}
	return faults
}

// eventStatuses are the statuses that an event's subject may have.
func eventStatuses(e EventType) []string {
	switch e {
	case EventInbound, EventOutbound, EventAMD:
		return wordsOf(CallStatuses())
	case EventRecordingStarted, EventRecordingResumed:
		return wordsOf([]RecordingStatus{RecordingOngoing})
	case EventRecordingPaused:
		return wordsOf([]RecordingStatus{RecordingPaused})
	case EventRecordingCompleted:
		return wordsOf([]RecordingStatus{RecordingCompleted})
	case EventRecordingAvailable:
		return wordsOf([]RecordingStatus{RecordingAvailable})
	case EventRecordingAbsent, EventRecordingDeleted:
		return wordsOf([]RecordingStatus{RecordingAbsent})
	case EventRecordingFailed:
		return wordsOf([]RecordingStatus{RecordingFailed})
	case EventTranscriptionAvailable:
		return wordsOf([]TranscriptionStatus{TranscriptionAvailable})
	case EventTranscriptionFailed:
		return wordsOf([]TranscriptionStatus{TranscriptionFailed})
	}
	return nil
}

func wordsOf[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// Like reports whether two subscriptions ask for the same events.
func (s *Subscription) Like(other *Subscription) bool {
	sorted := func(f []SubscriptionFilter) []SubscriptionFilter {
		return slices.Compact(slices.SortedFunc(slices.Values(f), func(a, b SubscriptionFilter) int {
			return strings.Compare(a.Key+"="+a.Value, b.Key+"="+b.Value)
		}))
	}
	return s.Workspace == other.Workspace && s.Service == other.Service && s.Event == other.Event &&
		slices.Equal(sorted(s.Filters), sorted(other.Filters))
}

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The states of a delivery. Failed is given up, after RetryFor.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
)

// RetryFor is how long a delivery is tried.
const RetryFor = 8 * time.Hour

// Delivery is one event on its way to one receiver.
type Delivery struct {
	ID           DeliveryID
	Workspace    WorkspaceID
	Subscription SubscriptionID // empty = the call's notification URL
	Event        EventID
	Seq          int64 // of the event
	Type         EventType
	Call         CallID // deliveries of one call to one address are made in order
	URL          string
	Status       DeliveryStatus
	Attempts     int
	Since        time.Time // when it was last asked for: made, or replayed
	Tries        int       // attempts after that
	NextAt       time.Time // of the next attempt; zero = it is over, or one before it is not
	Code         int       // HTTP status of the last attempt; 0 = there was no answer
	Problem      string    // what was wrong with the last attempt

	CreatedAt, UpdatedAt, DeliveredAt time.Time
}

// DeliveryFilter selects deliveries for a list. Zero members select everything.
type DeliveryFilter struct {
	Workspace    WorkspaceID
	Subscription SubscriptionID
	Status       DeliveryStatus
	Page
}
