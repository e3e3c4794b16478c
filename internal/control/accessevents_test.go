package control

import (
	"context"

	"tapedeck/internal/voice"
)

// eventVerbs are the verbs of events and webhooks.
func eventVerbs() []verb {
	const (
		ws   = "/workspaces/w"
		subs = ws + "/webhook-subscriptions"
		all  = ws + "/webhook-deliveries"
	)
	sub, sent := Target{Workspace: "w", Subscription: "s"}, Target{Workspace: "w", Delivery: "d"}
	return []verb{
		{"CreateSubscription", voice.ActionCreate, subs, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.CreateSubscription(ctx, p, "w", SubscriptionChange{}, Once{})
			return err
		}},
		{"Subscriptions", voice.ActionView, subs, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Subscriptions(ctx, p, "w", voice.Page{Limit: 1})
			return err
		}},
		{"Subscription", voice.ActionView, subs + "/s", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Subscription(ctx, p, sub)
			return err
		}},
		{"UpdateSubscription", voice.ActionUpdate, subs + "/s", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.UpdateSubscription(ctx, p, sub, SubscriptionChange{})
			return err
		}},
		{"DeleteSubscription", voice.ActionDelete, subs + "/s", func(ctx context.Context, s *Service, p voice.Principal) error {
			return s.DeleteSubscription(ctx, p, sub)
		}},
		{"Deliveries", voice.ActionView, all, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Deliveries(ctx, p, voice.DeliveryFilter{Workspace: "w"})
			return err
		}},
		{"Delivery", voice.ActionView, all + "/d", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Delivery(ctx, p, sent)
			return err
		}},
		{"ReplayDelivery", voice.ActionCreate, all + "/d/replay", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.ReplayDelivery(ctx, p, sent)
			return err
		}},
		{"Events", voice.ActionView, ws + "/events", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Events(ctx, p, voice.EventFilter{Workspace: "w"})
			return err
		}},
		{"NextEvents", voice.ActionView, ws + "/events", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.NextEvents(ctx, p, voice.EventFilter{Workspace: "w"})
			return err
		}},
	}
}
