package control

import (
	"context"
	"slices"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// SubscriptionChange holds the members of a webhook subscription that a request
// names. Nil leaves a member as it is.
type SubscriptionChange struct {
	Service    *string
	Event      *voice.EventType
	Filters    *[]voice.SubscriptionFilter
	Template   *string
	URL        *string
	SigningKey *string
}

// CreateSubscription subscribes to an event. More than voice.MaxSameSubscriptions
// that ask for the same are voice.CodeConflict.
func (s *Service) CreateSubscription(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, in SubscriptionChange, o Once) (voice.Subscription, error) {
	if err := s.authorize(who, voice.ActionCreate, Target{Workspace: ws}, "/webhook-subscriptions"); err != nil {
		return voice.Subscription{}, err
	}
	at := now()
	sub := voice.Subscription{
		ID: voice.SubscriptionID(store.NewID()), Workspace: ws, Status: voice.SubscriptionActive, CreatedAt: at, UpdatedAt: at,
	}
	if err := s.change(&sub, in); err != nil {
		return voice.Subscription{}, err
	}
	return act(ctx, s, ws, o, func(ctx context.Context) (voice.Subscription, error) {
		return sub, s.db.Update(ctx, func(tx *store.Tx) error { return putSubscription(tx, sub) })
	})
}

// change puts the change into sub, or returns every fault in it.
func (s *Service) change(sub *voice.Subscription, in SubscriptionChange) error {
	set(&sub.Service, in.Service)
	set(&sub.Event, in.Event)
	set(&sub.Template, in.Template)
	set(&sub.URL, in.URL)
	set(&sub.SigningKey, in.SigningKey)
	if in.Filters != nil {
		sub.Filters = slices.Clone(*in.Filters)
	}
	faults := sub.Faults()
	s.checkReceiver(faults, "url", sub.URL)
	if len(faults) > 0 {
		return voice.Invalid(faults)
	}
	return nil
}

// checkReceiver notes what is wrong with an address that is to be told of events.
func (s *Service) checkReceiver(faults map[string][]string, member, url string) {
	if err := s.receiver(url); err != nil {
		faults[member] = append(faults[member], err.Error())
	}
}

func putSubscription(tx *store.Tx, sub voice.Subscription) error {
	all, err := tx.AllSubscriptions()
	if err != nil {
		return err
	}
	same := 0
	for i := range all {
		if all[i].ID != sub.ID && all[i].Like(&sub) {
			same++
		}
	}
	if same >= voice.MaxSameSubscriptions {
		return &voice.Error{Code: voice.CodeConflict, Message: "There are 5 subscriptions to this event with these filters already: change or delete one"}
	}
	return tx.PutSubscription(sub)
}

// Subscriptions lists the webhook subscriptions of a workspace, newest first.
func (s *Service) Subscriptions(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, page voice.Page) (list []voice.Subscription, next string, err error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: ws}, "/webhook-subscriptions"); err != nil {
		return nil, "", err
	}
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.Subscriptions(ws, page)
		return err
	})
	return list, next, listed(err)
}

// Subscription returns a webhook subscription.
func (s *Service) Subscription(ctx context.Context, who voice.Principal, t Target) (sub voice.Subscription, err error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Subscription{}, err
	}
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		sub, err = tx.Subscription(t.Workspace, t.Subscription)
		return err
	})
	return sub, err
}

// UpdateSubscription changes a webhook subscription. What it has not delivered
// yet goes to its new address and is signed with its new key.
func (s *Service) UpdateSubscription(ctx context.Context, who voice.Principal, t Target, in SubscriptionChange) (sub voice.Subscription, err error) {
	if err := s.authorize(who, voice.ActionUpdate, t, ""); err != nil {
		return voice.Subscription{}, err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if sub, err = tx.Subscription(t.Workspace, t.Subscription); err != nil {
			return err
		}
		from := sub.URL
		if err := s.change(&sub, in); err != nil {
			return err
		}
		sub.UpdatedAt = now()
		if err := putSubscription(tx, sub); err != nil || from == sub.URL {
			return err
		}
		return tx.MoveDeliveries(sub.ID, from, sub.URL, sub.UpdatedAt)
	})
	s.wake(err)
	return sub, err
}

// wake has deliveries looked at that may be due now.
func (s *Service) wake(err error) {
	if err == nil {
		s.due()
	}
}

// DeleteSubscription deletes a webhook subscription. What it has not delivered is
// given up.
func (s *Service) DeleteSubscription(ctx context.Context, who voice.Principal, t Target) error {
	if err := s.authorize(who, voice.ActionDelete, t, ""); err != nil {
		return err
	}
	err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.DeleteSubscription(t.Workspace, t.Subscription, now()) })
	s.wake(err)
	return err
}

// Deliveries lists the deliveries of a workspace's events, newest first. The
// workspace of the filter counts.
func (s *Service) Deliveries(ctx context.Context, who voice.Principal, f voice.DeliveryFilter) (list []voice.Delivery, next string, err error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: f.Workspace}, "/webhook-deliveries"); err != nil {
		return nil, "", err
	}
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.Deliveries(f)
		return err
	})
	return list, next, listed(err)
}

// Delivery returns a delivery.
func (s *Service) Delivery(ctx context.Context, who voice.Principal, t Target) (d voice.Delivery, err error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Delivery{}, err
	}
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		d, err = tx.Delivery(t.Workspace, t.Delivery)
		return err
	})
	return d, err
}

// ReplayDelivery has an event delivered once more, however it went before, and at
// once, whatever else waits for the receiver. One whose event is not kept any
// more is voice.CodeEventsGone.
func (s *Service) ReplayDelivery(ctx context.Context, who voice.Principal, t Target) (d voice.Delivery, err error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/replay"); err != nil {
		return voice.Delivery{}, err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.Delivery(t.Workspace, t.Delivery); err != nil {
			return err
		}
		if err := replayable(tx, &d); err != nil {
			return err
		}
		at := now()
		d.Status, d.Since, d.Tries, d.NextAt = voice.DeliveryPending, at, 0, at
		d.UpdatedAt = at
		return tx.UpdateDelivery(d)
	})
	s.wake(err)
	return d, err
}

// replayable says whether a delivery has still what it needs, and puts the
// address in that its subscription has now.
func replayable(tx *store.Tx, d *voice.Delivery) error {
	_, err := tx.Event(d.Workspace, d.Event)
	if voice.CodeOf(err) == voice.CodeNotFound {
		return &voice.Error{Code: voice.CodeEventsGone, Message: "The event of this delivery is not kept any more", Err: err}
	}
	if err != nil || d.Subscription == "" {
		return err
	}
	sub, err := tx.Subscription(d.Workspace, d.Subscription)
	if voice.CodeOf(err) == voice.CodeNotFound {
		return &voice.Error{Code: voice.CodeConflict, Message: "The subscription of this delivery was deleted", Err: err}
	}
	if err == nil {
		d.URL = sub.URL
	}
	return err
}
