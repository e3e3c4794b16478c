package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/fetch"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options configures a Sender. DB, Client and Body are needed.
type Options struct {
	DB     *store.DB
	Client *fetch.Client
	// Body is what receivers get of an event. It must be the same each time.
	Body func(voice.Event) ([]byte, error)

	Parallel   int                   // requests at once; 0 = 64
	PerAddress int                   // of them to one address; 0 = 4
	Keep       time.Duration         // how long events and finished deliveries are kept; 0 = 7 days
	Poll       time.Duration         // how often to look although nobody told us; 0 = 5 s
	Now        func() time.Time      // nil = time.Now
	Spread     func() float64        // 0 to 1, by which intervals are spread; nil = random
	Logger     *slog.Logger          // nil = none
	Registerer prometheus.Registerer // nil = none
}

// Sender makes deliveries of events, and delivers them.
type Sender struct {
	o       Options
	metrics *metrics
	wake    chan struct{} // room for one; Wake sends, run receives; a full one says all

	// What follows belongs to the goroutine of Run.
	sending map[voice.DeliveryID]string // address, of what is under way
	swept   time.Time                   // when we last forgot what is old
}

// New makes a Sender.
func New(o Options) (*Sender, error) {
	if o.DB == nil || o.Client == nil || o.Body == nil {
		return nil, errors.New("webhook: DB, Client and Body are needed")
	}
	if o.Parallel <= 0 {
		o.Parallel = 64
	}
	if o.PerAddress <= 0 {
		o.PerAddress = 4
	}
	if o.Keep <= 0 {
		o.Keep = 7 * 24 * time.Hour
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Spread == nil {
		o.Spread = random
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{o: o, wake: make(chan struct{}, 1), sending: map[voice.DeliveryID]string{}}
	var err error
	if s.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return s, nil
}

// Wake tells the sender that deliveries may be due. It never blocks.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// grace is how long requests that are under way may take when Run is to end. One
// that is cut off is made again after the next start.
const grace = time.Second

// Run delivers until the context ends. It must not be called again.
func (s *Sender) Run(ctx context.Context) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cut) })
	defer stop()
	var workers sync.WaitGroup
	ended := make(chan voice.DeliveryID, s.o.Parallel) // a request sends when it is over; never full
	again := time.NewTimer(0)
	defer again.Stop()
	for ctx.Err() == nil {
		told := s.o.DB.Told() // before we look
		due, next := s.look(ctx)
		for _, d := range due {
			s.sending[d.ID] = d.URL
			workers.Go(func() {
				s.deliver(requests, d)
				ended <- d.ID
			})
		}
		again.Reset(s.until(next))
		select {
		case <-ctx.Done():
		case <-told:
		case <-s.wake:
		case <-again.C:
		case id := <-ended:
			delete(s.sending, id)
			s.drain(ended)
		}
	}
	workers.Wait()
	return nil
}

// drain takes what else has ended.
func (s *Sender) drain(ended <-chan voice.DeliveryID) {
	for {
		select {
		case id := <-ended:
			delete(s.sending, id)
		default:
			return
		}
	}
}

// until is how long nothing needs to be looked at.
func (s *Sender) until(next time.Time) time.Duration {
	if next.IsZero() {
		return s.o.Poll
	}
	return min(max(next.Sub(s.o.Now()), time.Millisecond), s.o.Poll)
}

// look makes deliveries of new events, forgets old ones, and returns what is to
// be delivered now, and when there is more; zero = nobody knows.
func (s *Sender) look(ctx context.Context) ([]voice.Delivery, time.Time) {
	err := s.fanOut(ctx)
	if err == nil {
		err = s.sweep(ctx)
	}
	var due []voice.Delivery
	var next time.Time
	if err == nil {
		due, next, err = s.due(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Error("cannot look for webhooks; trying again", "error", err)
	}
	return due, next
}

// due is what there are free places for.
func (s *Sender) due(ctx context.Context) (due []voice.Delivery, next time.Time, err error) {
	room := s.o.Parallel - len(s.sending)
	if room <= 0 {
		return nil, time.Time{}, nil // the end of a request wakes us
	}
	at := map[string]int{}
	want := store.Due{Now: s.o.Now(), Limit: room}
	for id, url := range s.sending {
		want.Sending = append(want.Sending, id)
		if at[url]++; at[url] == s.o.PerAddress {
			want.Busy = append(want.Busy, url)
		}
	}
	var found []voice.Delivery
	err = s.o.DB.View(ctx, func(tx *store.Tx) (err error) {
		found, next, err = tx.DueDeliveries(want)
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, d := range found {
		if at[d.URL]++; at[d.URL] <= s.o.PerAddress {
			due = append(due, d)
		}
	}
	if len(due) < len(found) {
		next = want.Now // others may be behind those that are too many for their address
	}
	return due, next, nil
}

// reader is our name among those who read events.
const reader = "webhook"

// fanOutAtOnce is how many events are made into deliveries in one transaction.
const fanOutAtOnce = 200

// fanOut makes deliveries of the events that nobody made any of yet.
func (s *Sender) fanOut(ctx context.Context) error {
	for {
		var events []voice.Event
		var subs []voice.Subscription
		err := s.o.DB.View(ctx, func(tx *store.Tx) error {
			read, err := tx.EventsRead(reader)
			if err != nil {
				return err
			}
			if events, err = tx.Events(voice.EventFilter{After: read, Limit: fanOutAtOnce}); err != nil || len(events) == 0 {
				return err
			}
			subs, err = tx.AllSubscriptions()
			return err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		made := s.deliveries(events, subs)
		err = s.o.DB.Update(ctx, func(tx *store.Tx) error {
			for _, d := range made {
				if err := tx.InsertDelivery(d); err != nil {
					return err
				}
			}
			return tx.MarkEventsRead(reader, events[len(events)-1].Seq)
		})
		if err != nil || len(events) < fanOutAtOnce {
			return err
		}
	}
}

// deliveries are the deliveries of some events.
func (s *Sender) deliveries(events []voice.Event, subs []voice.Subscription) (out []voice.Delivery) {
	now := s.o.Now().UTC()
	add := func(e *voice.Event, id voice.SubscriptionID, url string) {
		out = append(out, voice.Delivery{
			ID: voice.DeliveryID(store.NewID()), Workspace: e.Workspace, Subscription: id, Event: e.ID, Seq: e.Seq, Type: e.Type,
			Call: e.Call, URL: url, Status: voice.DeliveryPending, NextAt: now, Since: now, CreatedAt: now, UpdatedAt: now,
		})
	}
	for i := range events {
		e := &events[i]
		for j := range subs {
			if subs[j].Wants(e) {
				add(e, subs[j].ID, subs[j].URL)
			}
		}
		if e.NotifyURL != "" {
			add(e, "", e.NotifyURL)
		}
	}
	return out
}
