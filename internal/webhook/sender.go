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
	Each       int                   // of them for one workspace; 0 = half of Parallel
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
	sending map[voice.DeliveryID]voice.Delivery // what is under way
	swept   time.Time                           // when we last forgot what is old
	read    int64                               // how far we have come among the events; 0 = not known
	place   store.Row                           // where that is kept
	quiet   bool                                // nothing was left to be delivered, and nobody said that there is more
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
	if o.Each <= 0 {
		o.Each = max(o.Parallel/2, 1)
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
	s := &Sender{o: o, wake: make(chan struct{}, 1), sending: map[voice.DeliveryID]voice.Delivery{}}
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
		looked := time.Now()
		due, next := s.look(ctx)
		for _, d := range due {
			s.sending[d.ID] = d
			workers.Go(func() {
				s.deliver(requests, d)
				ended <- d.ID
			})
		}
		sleep := s.until(next)
		again.Reset(sleep)
		if s.rest(ctx, told, ended, again) {
			// Events come many at once: those of a call that is set up, those of others.
			again.Reset(min(sleep, max(0, pace-time.Since(looked))))
			s.rest(ctx, nil, ended, again)
			continue
		}
		s.quiet = false
	}
	workers.Wait()
	return nil
}

// pace is how long events gather before they are looked at: each look costs a read,
// and a write where somebody is to be told.
const pace = 50 * time.Millisecond

// rest waits until there is something to do. It reports whether that is new events.
func (s *Sender) rest(ctx context.Context, told <-chan struct{}, ended <-chan voice.DeliveryID, again *time.Timer) bool {
	select {
	case <-told:
		return true
	case <-ctx.Done():
	case <-s.wake:
		s.quiet = false
	case <-again.C:
	case id := <-ended:
		s.quiet = false
		delete(s.sending, id)
		s.drain(ended)
	}
	return false
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
	if room <= 0 || s.quiet {
		return nil, time.Time{}, nil // the end of a request wakes us, or what is new
	}
	at, of := map[string]int{}, map[voice.WorkspaceID]int{}
	want := store.Due{Now: s.o.Now(), Limit: room}
	for id, d := range s.sending {
		want.Sending = append(want.Sending, id)
		if at[d.URL]++; at[d.URL] == s.o.PerAddress {
			want.Busy = append(want.Busy, d.URL)
		}
		if of[d.Workspace]++; of[d.Workspace] == s.o.Each {
			want.Full = append(want.Full, d.Workspace)
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
		if at[d.URL] < s.o.PerAddress && of[d.Workspace] < s.o.Each {
			at[d.URL]++
			of[d.Workspace]++
			due = append(due, d)
		}
	}
	if len(due) < len(found) {
		next = want.Now // others may be behind those that are too many
	}
	s.quiet = len(due) == 0 && len(s.sending) == 0 && next.IsZero()
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
		err := s.o.DB.View(ctx, func(tx *store.Tx) (err error) {
			if s.read == 0 {
				if s.read, err = tx.EventsRead(reader); err != nil {
					return err
				}
			}
			if events, err = tx.Events(voice.EventFilter{After: s.read, Limit: fanOutAtOnce, Heads: true}); err != nil || len(events) == 0 {
				return err
			}
			subs, err = tx.AllSubscriptions()
			return err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		if err := s.keep(ctx, s.deliveries(events, subs), events[len(events)-1].Seq); err != nil || len(events) < fanOutAtOnce {
			return err
		}
	}
}

// keep writes deliveries, and how far we have come. Where nobody is to be told of
// anything nothing waits for that, and it shares a transaction with others: what is
// read again after a crash makes no delivery either, since a subscription made later is
// written later.
func (s *Sender) keep(ctx context.Context, made []voice.Delivery, read int64) error {
	mark := func(tx *store.Tx) error { return tx.MarkEventsRead(reader, read) }
	if len(made) == 0 {
		s.read = read
		s.o.DB.Replace(&s.place, mark, nil)
		return nil
	}
	s.quiet = false
	err := s.o.DB.Update(ctx, func(tx *store.Tx) error {
		for _, d := range made {
			if err := tx.InsertDelivery(d); err != nil {
				return err
			}
		}
		return mark(tx)
	})
	if err == nil {
		s.read = read
	}
	return err
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
