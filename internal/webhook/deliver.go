package webhook

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// result is how an attempt went.
type result struct {
	code     int    // HTTP status; 0 = there was no answer
	problem  string // empty = it was delivered
	hopeless bool   // trying again cannot help
}

// deliver makes one attempt and writes down how it went. A panic is a failure of
// that attempt alone.
func (s *Sender) deliver(ctx context.Context, d voice.Delivery) {
	began := time.Now()
	r := s.attempt(ctx, &d)
	if ctx.Err() != nil && r.problem != "" {
		return // we are to end: it is tried again after the next start
	}
	var over voice.Delivery
	// Also when we are to end right now: what was delivered must not be delivered
	// again.
	err := s.o.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) (err error) {
		if over, err = tx.Delivery(d.Workspace, d.ID); err != nil {
			return err
		}
		s.settle(&over, &d, r)
		return tx.UpdateDelivery(over)
	})
	if err != nil {
		s.o.Logger.Error("cannot write down how a webhook went; it may come twice", "delivery", d.ID, "error", err)
		return
	}
	s.metrics.observe(over.Status, r, time.Since(began))
	if over.Status == voice.DeliveryFailed {
		s.o.Logger.Warn("webhook given up", "delivery", d.ID, "event", d.Event, "attempts", over.Attempts, "problem", over.Problem)
	}
}

// maxAnswer is how much of an answer is read, so that its connection can be used
// again. Nothing in it counts.
const maxAnswer = 64 << 10

func (s *Sender) attempt(ctx context.Context, d *voice.Delivery) (r result) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("webhook broke off", "delivery", d.ID, "fault", fmt.Sprint(p), "stack", string(debug.Stack()))
			r = result{problem: "the server met a fault of its own"}
		}
	}()
	var event voice.Event
	var sub voice.Subscription
	err := s.o.DB.View(ctx, func(tx *store.Tx) (err error) {
		if event, err = tx.Event(d.Workspace, d.Event); err != nil || d.Subscription == "" {
			return err
		}
		sub, err = tx.Subscription(d.Workspace, d.Subscription)
		return err
	})
	switch {
	case voice.CodeOf(err) == voice.CodeNotFound && event.ID == "":
		return result{problem: "the event is not kept any more", hopeless: true}
	case voice.CodeOf(err) == voice.CodeNotFound:
		return result{problem: "the subscription was deleted", hopeless: true}
	case err != nil:
		s.o.Logger.Error("cannot read what a webhook is about", "delivery", d.ID, "error", err)
		return result{problem: "the server could not read the event"}
	}
	body, err := s.o.Body(event)
	if err != nil {
		s.o.Logger.Error("cannot write the body of a webhook", "delivery", d.ID, "event", event.ID, "error", err)
		return result{problem: "the server could not write the event"}
	}
	answer, err := s.o.Client.Post(ctx, d.URL, headers(d, sub.SigningKey, body, s.o.Now()), body, maxAnswer)
	switch {
	case answer == nil:
		return result{problem: "no answer: " + err.Error()}
	case answer.Code/100 == 2: // whatever comes of its body
		return result{code: answer.Code}
	}
	return result{code: answer.Code, problem: fmt.Sprintf("the receiver answered %d", answer.Code)}
}

// settle puts how an attempt went into the delivery as it is now, which may have
// been replayed or given up while the attempt was made.
func (s *Sender) settle(d, tried *voice.Delivery, r result) {
	now := s.o.Now().UTC()
	d.Attempts++
	d.Code, d.Problem, d.UpdatedAt = r.code, r.problem, now
	if !d.Since.Equal(tried.Since) || d.URL != tried.URL {
		return // asked for anew, or elsewhere: that is still to be done
	}
	d.Tries++
	switch {
	case r.problem == "":
		d.Status, d.NextAt, d.DeliveredAt = voice.DeliveryDelivered, time.Time{}, now
	case d.Status != voice.DeliveryPending:
	case r.hopeless:
		d.Status, d.NextAt = voice.DeliveryFailed, time.Time{}
	default:
		next, ok := s.next(d, now)
		if !ok {
			d.Status = voice.DeliveryFailed
		}
		d.NextAt = next
	}
}

// intervals returns the times between attempts. The last one counts for all that
// follow.
func intervals() []time.Duration {
	return []time.Duration{
		5 * time.Second, 15 * time.Second, 45 * time.Second, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour,
	}
}

// next is when a delivery is tried again after so many tries: later each time,
// up to a tenth more or less so that what failed together does not come together,
// and a last time when voice.RetryFor is over.
func (s *Sender) next(d *voice.Delivery, now time.Time) (time.Time, bool) {
	end := d.Since.Add(voice.RetryFor)
	if !now.Before(end) {
		return time.Time{}, false
	}
	all := intervals()
	wait := all[min(max(d.Tries, 1), len(all))-1]
	wait += time.Duration((s.o.Spread() - 0.5) * 0.2 * float64(wait))
	at := now.Add(wait)
	if at.After(end) {
		at = end
	}
	return at, true
}

func random() float64 { return rand.Float64() } //nolint:gosec // spreads load, guards nothing
