package httpapi

import (
	"context"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) CreateWebhookSubscription(ctx context.Context, in openapi.CreateWebhookSubscriptionRequestObject) (openapi.CreateWebhookSubscriptionResponseObject, error) {
	q, service, event := of(ctx), string(in.Body.Service), voice.EventType(in.Body.Event)
	s, err := v.control.CreateSubscription(ctx, q.who, voice.WorkspaceID(in.WorkspaceID), control.SubscriptionChange{
		Service: &service, Event: &event, Filters: filters(in.Body.EventFilters),
		Template: in.Body.Template, URL: &in.Body.URL, SigningKey: in.Body.SigningKey,
	}, q.once)
	if err != nil {
		return nil, err
	}
	return openapi.CreateWebhookSubscription201JSONResponse(subscription(&s)), nil
}

func (v *verbs) ListWebhookSubscriptions(ctx context.Context, in openapi.ListWebhookSubscriptionsRequestObject) (openapi.ListWebhookSubscriptionsResponseObject, error) {
	subs, next, err := v.control.Subscriptions(ctx, of(ctx).who, voice.WorkspaceID(in.WorkspaceID), page(in.Params.Limit, in.Params.PageToken, 10))
	if err != nil {
		return nil, err
	}
	return openapi.ListWebhookSubscriptions200JSONResponse{Results: list(subs, subscription), NextPageToken: some(next)}, nil
}

func (v *verbs) GetWebhookSubscription(ctx context.Context, in openapi.GetWebhookSubscriptionRequestObject) (openapi.GetWebhookSubscriptionResponseObject, error) {
	s, err := v.control.Subscription(ctx, of(ctx).who, ofSubscription(in.WorkspaceID, in.SubscriptionID))
	if err != nil {
		return nil, err
	}
	return openapi.GetWebhookSubscription200JSONResponse(subscription(&s)), nil
}

func (v *verbs) UpdateWebhookSubscription(ctx context.Context, in openapi.UpdateWebhookSubscriptionRequestObject) (openapi.UpdateWebhookSubscriptionResponseObject, error) {
	change := control.SubscriptionChange{
		Filters: filters(in.Body.EventFilters), Template: in.Body.Template, URL: in.Body.URL, SigningKey: in.Body.SigningKey,
	}
	if in.Body.Event != nil {
		event := voice.EventType(*in.Body.Event)
		change.Event = &event
	}
	s, err := v.control.UpdateSubscription(ctx, of(ctx).who, ofSubscription(in.WorkspaceID, in.SubscriptionID), change)
	if err != nil {
		return nil, err
	}
	return openapi.UpdateWebhookSubscription200JSONResponse(subscription(&s)), nil
}

func (v *verbs) DeleteWebhookSubscription(ctx context.Context, in openapi.DeleteWebhookSubscriptionRequestObject) (openapi.DeleteWebhookSubscriptionResponseObject, error) {
	if err := v.control.DeleteSubscription(ctx, of(ctx).who, ofSubscription(in.WorkspaceID, in.SubscriptionID)); err != nil {
		return nil, err
	}
	return openapi.DeleteWebhookSubscription204Response{}, nil
}

func (v *verbs) ListWebhookDeliveries(ctx context.Context, in openapi.ListWebhookDeliveriesRequestObject) (openapi.ListWebhookDeliveriesResponseObject, error) {
	p := in.Params
	found, next, err := v.control.Deliveries(ctx, of(ctx).who, voice.DeliveryFilter{
		Workspace: voice.WorkspaceID(in.WorkspaceID), Subscription: voice.SubscriptionID(given(p.SubscriptionID)),
		Status: voice.DeliveryStatus(given(p.Status)), Page: page(p.Limit, p.PageToken, 10),
	})
	if err != nil {
		return nil, err
	}
	return openapi.ListWebhookDeliveries200JSONResponse{Results: list(found, delivery), NextPageToken: some(next)}, nil
}

func (v *verbs) GetWebhookDelivery(ctx context.Context, in openapi.GetWebhookDeliveryRequestObject) (openapi.GetWebhookDeliveryResponseObject, error) {
	d, err := v.control.Delivery(ctx, of(ctx).who, ofDelivery(in.WorkspaceID, in.DeliveryID))
	if err != nil {
		return nil, err
	}
	return openapi.GetWebhookDelivery200JSONResponse(delivery(&d)), nil
}

func (v *verbs) ReplayWebhookDelivery(ctx context.Context, in openapi.ReplayWebhookDeliveryRequestObject) (openapi.ReplayWebhookDeliveryResponseObject, error) {
	d, err := v.control.ReplayDelivery(ctx, of(ctx).who, ofDelivery(in.WorkspaceID, in.DeliveryID))
	if err != nil {
		return nil, err
	}
	return openapi.ReplayWebhookDelivery202JSONResponse(delivery(&d)), nil
}

func ofSubscription(ws, id string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Subscription: voice.SubscriptionID(id)}
}

func ofDelivery(ws, id string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Delivery: voice.DeliveryID(id)}
}

func filters(in *openapi.EventFilters) *[]voice.SubscriptionFilter {
	if in == nil {
		return nil
	}
	out := list(*in, func(f *openapi.EventFilter) voice.SubscriptionFilter {
		return voice.SubscriptionFilter{Key: string(f.Key), Value: f.Value}
	})
	return &out
}

// subscription is a webhook subscription as the API shows it. There are no
// organizations here: the workspace stands for its own.
func subscription(s *voice.Subscription) openapi.WebhookSubscription {
	return openapi.WebhookSubscription{
		ID: string(s.ID), OrganizationID: string(s.Workspace), WorkspaceID: string(s.Workspace),
		Service: s.Service, Event: openapi.EventType(s.Event),
		EventFilters: list(s.Filters, func(f *voice.SubscriptionFilter) openapi.EventFilter {
			return openapi.EventFilter{Key: openapi.EventFilterKey(f.Key), Value: f.Value}
		}),
		Template: some(s.Template), URL: s.URL, SigningKey: some(s.SigningKey), Status: openapi.WebhookSubscriptionStatus(s.Status),
		CreatedAt: openapi.Time{Time: s.CreatedAt}, UpdatedAt: openapi.Time{Time: s.UpdatedAt},
	}
}

// delivery is a delivery as the API shows it.
func delivery(d *voice.Delivery) openapi.WebhookDelivery {
	return openapi.WebhookDelivery{
		ID: string(d.ID), SubscriptionID: some(string(d.Subscription)), EventID: string(d.Event), Event: openapi.EventType(d.Type),
		CallID: some(string(d.Call)), URL: d.URL, Status: openapi.DeliveryStatus(d.Status), Attempts: d.Attempts,
		NextAttemptAt: at(d.NextAt), ResponseStatus: some(d.Code), Problem: some(d.Problem), DeliveredAt: at(d.DeliveredAt),
		CreatedAt: openapi.Time{Time: d.CreatedAt}, UpdatedAt: openapi.Time{Time: d.UpdatedAt},
	}
}
