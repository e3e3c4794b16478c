package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tapedeck/client"
)

// webhookCmd is the administration of webhooks. It asks a server.
type webhookCmd struct {
	List       webhookListCmd       `cmd:"" help:"List subscriptions, newest first."`
	Create     webhookCreateCmd     `cmd:"" help:"Subscribe to an event."`
	Delete     webhookDeleteCmd     `cmd:"" help:"Delete a subscription; what it has not delivered is given up."`
	Deliveries webhookDeliveriesCmd `cmd:"" help:"List what became of events, newest first."`
	Replay     webhookReplayCmd     `cmd:"" help:"Deliver events once more."`
}

type webhookListCmd struct{ serverFlags }

// Run lists.
func (c *webhookListCmd) Run(ctx context.Context, out io.Writer) error {
	var list []client.WebhookSubscription
	err := c.ask(ctx, func(api *client.Client) (err error) {
		list, err = client.Collect(api.AllWebhookSubscriptions(ctx, client.ListWebhookSubscriptionsParams{Limit: maxPage}), 0)
		return err
	})
	if err != nil {
		return err
	}
	for i := range list {
		list[i].SigningKey = "" // a terminal is no place for it
	}
	return c.print(out, list, func(t io.Writer) {
		line(t, "ID", "EVENT", "URL", "FILTERS")
		for _, s := range list {
			line(t, s.ID, s.Event, s.URL, filterText(s.EventFilters))
		}
	})
}

func filterText(list client.EventFilters) string {
	parts := make([]string, len(list))
	for i, f := range list {
		parts[i] = string(f.Key) + "=" + f.Value
	}
	return strings.Join(parts, " ")
}

type webhookCreateCmd struct {
	serverFlags

	Event   string   `arg:"" help:"Event, as recording.available."`
	URL     string   `arg:"" name:"url" help:"Address that is told of it."`
	Channel string   `help:"Only of this channel." placeholder:"ID"`
	Status  []string `help:"Only in this status; may be given more than once." placeholder:"STATUS"`
	KeyFile string   `name:"signing-key" help:"File with the key that deliveries are signed with; - is standard input. Or the key itself in TAPEDECK_SIGNING_KEY." placeholder:"FILE"`
}

// Run subscribes.
func (c *webhookCreateCmd) Run(ctx context.Context, out io.Writer) error {
	in := client.CreateWebhookSubscription{
		Service: client.CreateWebhookSubscriptionServiceChannels, Event: client.EventType(c.Event), URL: c.URL,
		SigningKey: os.Getenv("TAPEDECK_SIGNING_KEY"),
	}
	if c.KeyFile != "" {
		text, err := readAll(c.KeyFile)
		if err != nil {
			return fmt.Errorf("--signing-key: %w", err)
		}
		if in.SigningKey = strings.TrimSpace(string(text)); in.SigningKey == "" {
			return fmt.Errorf("--signing-key %s: there is no key in it", c.KeyFile)
		}
	}
	if c.Channel != "" {
		in.EventFilters = append(in.EventFilters, client.EventFilter{Key: client.EventFilterKeyChannelID, Value: c.Channel})
	}
	for _, s := range c.Status {
		in.EventFilters = append(in.EventFilters, client.EventFilter{Key: client.EventFilterKeyStatus, Value: s})
	}
	var made *client.WebhookSubscription
	err := c.ask(ctx, func(api *client.Client) (err error) {
		made, err = api.CreateWebhookSubscription(ctx, in)
		return err
	})
	if err != nil {
		return err
	}
	made.SigningKey = ""
	return c.print(out, made, func(t io.Writer) {
		line(t, "id", made.ID)
		line(t, "event", made.Event)
		line(t, "url", made.URL)
		line(t, "filters", filterText(made.EventFilters))
		line(t, "signed", in.SigningKey != "")
	})
}

// uuidOf reads an id that becomes a part of an address.
func uuidOf(what, text string) (string, error) {
	id := strings.ToLower(text)
	if !uuid.MatchString(id) {
		return "", fmt.Errorf("%q is no id of a %s, which is a UUID", text, what)
	}
	return id, nil
}

type webhookDeleteCmd struct {
	serverFlags

	ID string `arg:"" help:"Id of the subscription."`
}

// Run unsubscribes.
func (c *webhookDeleteCmd) Run(ctx context.Context, _ io.Writer) error {
	id, err := uuidOf("subscription", c.ID)
	if err != nil {
		return err
	}
	return c.ask(ctx, func(api *client.Client) error { return api.DeleteWebhookSubscription(ctx, id) })
}

type webhookDeliveriesCmd struct {
	serverFlags

	Subscription string `help:"Only of this subscription." placeholder:"ID"`
	Status       string `help:"Only in this status: pending, delivered or failed." placeholder:"STATUS"`
	Limit        int    `help:"How many at most (default ${default})." default:"100" placeholder:"COUNT"`
}

// Run lists what became of events.
func (c *webhookDeliveriesCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: it must be 1 or more", c.Limit)
	}
	var list []client.WebhookDelivery
	err := c.ask(ctx, func(api *client.Client) (err error) {
		list, err = client.Collect(api.AllWebhookDeliveries(ctx, client.ListWebhookDeliveriesParams{
			Limit: min(c.Limit, maxPage), SubscriptionID: c.Subscription, Status: client.DeliveryStatus(c.Status),
		}), c.Limit)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, list, func(t io.Writer) {
		line(t, "ID", "CREATED", "EVENT", "STATUS", "ATTEMPTS", "URL", "PROBLEM")
		for i := range list {
			d := &list[i]
			line(t, d.ID, d.CreatedAt.Format(time.RFC3339), d.Event, d.Status, d.Attempts, d.URL, d.Problem)
		}
	})
}

type webhookReplayCmd struct {
	serverFlags

	IDs []string `arg:"" name:"id" help:"Ids of deliveries, as webhook deliveries shows them."`
}

// Run has events delivered once more.
func (c *webhookReplayCmd) Run(ctx context.Context, out io.Writer) error {
	ids := make([]client.DeliveryID, len(c.IDs))
	for i, text := range c.IDs {
		id, err := uuidOf("delivery", text)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	var list []client.WebhookDelivery
	err := c.ask(ctx, func(api *client.Client) error {
		for _, id := range ids {
			d, err := api.ReplayWebhookDelivery(ctx, id)
			if err != nil {
				return err
			}
			list = append(list, *d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.print(out, list, func(t io.Writer) {
		line(t, "ID", "EVENT", "STATUS", "URL")
		for _, d := range list {
			line(t, d.ID, d.Event, d.Status, d.URL)
		}
	})
}
