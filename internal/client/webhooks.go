package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"tapedeck/internal/voice"
)

// Subscription asks for events by webhook.
type Subscription struct {
	ID         voice.SubscriptionID       `json:"id,omitempty"`
	Service    string                     `json:"service,omitempty"`
	Event      voice.EventType            `json:"event,omitempty"`
	Filters    []voice.SubscriptionFilter `json:"eventFilters,omitempty"`
	URL        string                     `json:"url,omitempty"`
	SigningKey string                     `json:"signingKey,omitempty"`
	Status     string                     `json:"status,omitempty"`
}

// Subscribe makes a webhook subscription.
func (c *Client) Subscribe(ctx context.Context, in Subscription) (out Subscription, err error) {
	in.Service = voice.ServiceChannels
	return out, c.Do(ctx, "POST", "/webhook-subscriptions", in, &out)
}

// Subscriptions reads all webhook subscriptions, newest first.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	return pages[Subscription](ctx, c, "/webhook-subscriptions", url.Values{}, 1<<30)
}

// Unsubscribe deletes a webhook subscription.
func (c *Client) Unsubscribe(ctx context.Context, id voice.SubscriptionID) error {
	return c.Do(ctx, "DELETE", "/webhook-subscriptions/"+string(id), nil, nil)
}

// Delivery is one event on its way to one receiver.
type Delivery struct {
	ID           voice.DeliveryID     `json:"id"`
	Subscription voice.SubscriptionID `json:"subscriptionId,omitempty"`
	EventID      voice.EventID        `json:"eventId"`
	Event        voice.EventType      `json:"event"`
	Call         voice.CallID         `json:"callId,omitempty"`
	URL          string               `json:"url"`
	Status       voice.DeliveryStatus `json:"status"`
	Attempts     int                  `json:"attempts"`
	NextAt       *time.Time           `json:"nextAttemptAt,omitempty"`
	Code         int                  `json:"responseStatus,omitempty"`
	Problem      string               `json:"problem,omitempty"`
	DeliveredAt  *time.Time           `json:"deliveredAt,omitempty"`
	CreatedAt    time.Time            `json:"createdAt"`
}

// Deliveries reads the newest deliveries, limit at most. An empty subscription or
// status selects all.
func (c *Client) Deliveries(ctx context.Context, of voice.SubscriptionID, status voice.DeliveryStatus, limit int) ([]Delivery, error) {
	q := url.Values{}
	if of != "" {
		q.Set("subscriptionId", string(of))
	}
	if status != "" {
		q.Set("status", string(status))
	}
	return pages[Delivery](ctx, c, "/webhook-deliveries", q, limit)
}

// Replay has an event delivered once more.
func (c *Client) Replay(ctx context.Context, id voice.DeliveryID) (out Delivery, err error) {
	return out, c.Do(ctx, "POST", "/webhook-deliveries/"+string(id)+"/replay", nil, &out)
}

// pages reads a list page by page, limit at most.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values, limit int) ([]T, error) {
	out := []T{}
	for limit > len(out) {
		q.Set("limit", strconv.Itoa(min(limit-len(out), maxPage)))
		var page struct {
			Results       []T
			NextPageToken string
		}
		if err := c.Do(ctx, "GET", path+"?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Results...)
		if page.NextPageToken == "" {
			break
		}
		q.Set("pageToken", page.NextPageToken)
	}
	return out, nil
}
