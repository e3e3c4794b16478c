package voice

import "time"

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
	Call         CallID // deliveries of one call to one receiver are made in order
	URL          string
	Status       DeliveryStatus
	Attempts     int
	NextAt       time.Time // of the next attempt; zero = there is none
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
