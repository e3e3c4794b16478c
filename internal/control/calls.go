package control

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// NewCall is a call to be placed. Times are whole seconds; zero is the default.
type NewCall struct {
	To, From     string
	RingTimeout  int // 3..120, default 30
	MaxDuration  int // default 14400
	Order        voice.CallOrder
	Tags         []string
	Notification *voice.Notification
	ScheduledFor time.Time // zero = now
}

// CreateCall places a call on the channel, or schedules it. It returns when the
// call was accepted.
func (s *Service) CreateCall(ctx context.Context, who voice.Principal, t Target, in NewCall, o Once) (voice.Call, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/calls"); err != nil {
		return voice.Call{}, err
	}
	faults := s.newCallFaults(&in)
	if len(faults) > 0 {
		return voice.Call{}, voice.Invalid(faults)
	}
	if err := s.sessions.Able(in.Order.Flow, "callFlow"); err != nil {
		return voice.Call{}, err
	}
	c, err := s.channel(ctx, t)
	if err != nil {
		return voice.Call{}, err
	}
	in.Order.Flow = clampFlow(in.Order.Flow)
	call := session.NewCall{
		Channel: c, To: in.To, From: in.From,
		RingTimeout: time.Duration(in.RingTimeout) * time.Second,
		MaxDuration: time.Duration(clamp(in.MaxDuration)) * time.Second,
		Order:       in.Order, Tags: in.Tags, ScheduledFor: in.ScheduledFor.UTC(),
	}
	if in.Notification != nil {
		call.NotificationURL = in.Notification.URL
	}
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (voice.Call, error) {
		if call.ScheduledFor.IsZero() {
			return s.sessions.Dial(ctx, call)
		}
		return s.sessions.Schedule(ctx, call)
	})
}

func (s *Service) newCallFaults(in *NewCall) map[string][]string {
	faults := map[string][]string{}
	unfilled(faults, "to", in.To)
	unfilled(faults, "from", in.From)
	unfilledFlow(faults, "callFlow", in.Order.Flow)
	merge(faults, voice.OrderFaults(&in.Order))
	if fault := voice.ScheduleFault(in.ScheduledFor, time.Now()); fault != "" {
		faults["scheduledFor"] = append(faults["scheduledFor"], fault)
	}
	s.notified(faults, "notification.url", in.Notification)
	s.notifiedFlow(faults, in.Order.Flow)
	return faults
}

// notified notes what is wrong with the address of a notification.
func (s *Service) notified(faults map[string][]string, member string, n *voice.Notification) {
	if n != nil {
		s.checkReceiver(faults, member, n.URL)
	}
}

func (s *Service) notifiedFlow(faults map[string][]string, flow []voice.FlowCommand) {
	for i, step := range flow {
		if b, ok := step.Command.(*voice.Bridge); ok {
			s.notified(faults, fmt.Sprintf("callFlow.%d.options.notification.url", i), b.Notification)
		}
	}
}

func merge(faults, more map[string][]string) {
	for member, what := range more {
		faults[member] = append(faults[member], what...)
	}
}

// Calls lists calls: those of the one channel of the filter when the request's
// path named it, else those of the workspace.
func (s *Service) Calls(ctx context.Context, who voice.Principal, t Target, f voice.CallFilter) ([]voice.Call, string, error) {
	below := "/calls"
	if t.Channel == "" {
		below = "/channels/calls"
	}
	if err := s.authorize(who, voice.ActionView, t, below); err != nil {
		return nil, "", err
	}
	f.Workspace = t.Workspace
	var list []voice.Call
	var next string
	err := s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		if t.Channel != "" {
			if _, err := tx.Channel(t.Workspace, t.Channel); err != nil {
				return err
			}
			f.Channels = []voice.ChannelID{t.Channel}
		}
		list, next, err = tx.Calls(f)
		return err
	})
	return list, next, listed(err)
}

// Call returns a call, running or ended.
func (s *Service) Call(ctx context.Context, who voice.Principal, t Target) (voice.Call, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Call{}, err
	}
	c, _, err := s.find(ctx, t)
	return c, err
}

// CallChange is what a request wants of a running call.
type CallChange struct {
	Hangup bool                 // status completed
	Flow   *[]voice.FlowCommand // takes the place of the running flow
}

// UpdateCall hangs a call up or replaces its call flow.
func (s *Service) UpdateCall(ctx context.Context, who voice.Principal, t Target, in CallChange) (voice.Call, error) {
	if err := s.authorize(who, voice.ActionUpdate, t, ""); err != nil {
		return voice.Call{}, err
	}
	faults := map[string][]string{}
	if in.Hangup && in.Flow != nil {
		faults["callFlow"] = append(faults["callFlow"], "cannot be given with status completed")
	}
	if in.Flow != nil {
		flowFaults(faults, *in.Flow, voice.InboundKinds())
		s.notifiedFlow(faults, *in.Flow)
	}
	if len(faults) > 0 {
		return voice.Call{}, voice.Invalid(faults)
	}
	if in.Flow != nil {
		if err := s.sessions.Able(*in.Flow, "callFlow"); err != nil {
			return voice.Call{}, err
		}
	}
	before, live, err := s.find(ctx, t)
	switch {
	case err != nil:
		return voice.Call{}, err
	case !live && before.Status == voice.CallScheduled && (in.Hangup || in.Flow != nil):
		return s.updateScheduled(ctx, t, in)
	case !live:
		return voice.Call{}, notRunning(&before)
	}
	return act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (voice.Call, error) {
		switch {
		case in.Hangup:
			if _, err := s.sessions.Do(ctx, t.Call, &voice.Hangup{}); err != nil {
				return voice.Call{}, s.gone(t.Call, err)
			}
		case in.Flow != nil:
			c, err := s.sessions.ReplaceFlow(ctx, t.Call, clampFlow(*in.Flow))
			return c, s.gone(t.Call, err)
		}
		if c, live := s.sessions.Call(t.Call); live {
			return c, nil
		}
		return before, nil
	})
}

// updateScheduled takes back a call that waits for its time, or gives it another
// call flow.
func (s *Service) updateScheduled(ctx context.Context, t Target, in CallChange) (voice.Call, error) {
	return act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (voice.Call, error) {
		if in.Hangup {
			return s.sessions.Unschedule(ctx, t.Workspace, t.Call)
		}
		if faults := voice.FlowFaults(*in.Flow, "callFlow", voice.OutboundKinds()); faults != nil {
			return voice.Call{}, voice.Invalid(faults)
		}
		return s.sessions.Reflow(ctx, t.Workspace, t.Call, clampFlow(*in.Flow))
	})
}

// find returns a call of the target's channel, and whether it still runs.
func (s *Service) find(ctx context.Context, t Target) (c voice.Call, live bool, err error) {
	if _, err := s.channel(ctx, t); err != nil {
		return voice.Call{}, false, err
	}
	if c, ok := s.sessions.Call(t.Call); ok {
		if c.Workspace != t.Workspace || c.Channel != t.Channel {
			return voice.Call{}, false, voice.NotFound("call")
		}
		return c, !c.Status.Terminal(), nil
	}
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Call(t.Workspace, t.Channel, t.Call)
		return err
	})
	return c, false, err
}

// running reports whether a call runs. One that ended is voice.CodeCallNotActive,
// one that waits for its time voice.CodeCallNotInState.
func (s *Service) running(ctx context.Context, t Target) error {
	c, live, err := s.find(ctx, t)
	if err == nil && !live {
		return notRunning(&c)
	}
	return err
}

// notRunning says why a call takes no commands now.
func notRunning(c *voice.Call) *voice.Error {
	switch c.Status {
	case voice.CallScheduled:
		return &voice.Error{
			Code:    voice.CodeCallNotInState,
			Message: "The call waits until " + c.ScheduledFor.Format("2006-01-02 15:04:05 MST") + ": it takes no commands before, but status completed cancels it",
		}
	case voice.CallAccepted:
		return &voice.Error{Code: voice.CodeCallNotInState, Message: "The call is being placed right now: try again"}
	}
	return notActive()
}

func notActive() *voice.Error {
	return &voice.Error{Code: voice.CodeCallNotActive, Message: "The call has ended: it takes no more commands"}
}

// gone corrects the error of a call that ended after it was found running: it
// exists, so that it is not "not found".
func (s *Service) gone(id voice.CallID, err error) error {
	if voice.CodeOf(err) != voice.CodeNotFound || err == nil {
		return err
	}
	if _, live := s.sessions.Call(id); live {
		return err
	}
	return notActive()
}

// clamp keeps seconds small enough to count in nanoseconds; nobody talks for 68
// years.
func clamp(seconds int) int { return min(seconds, math.MaxInt32) }

func clampFlow(flow []voice.FlowCommand) []voice.FlowCommand {
	out := make([]voice.FlowCommand, len(flow))
	for i, step := range flow {
		if b, ok := step.Command.(*voice.Bridge); ok {
			step.Command = clampBridge(b)
		}
		out[i] = step
	}
	return out
}

func clampBridge(b *voice.Bridge) *voice.Bridge {
	out := *b
	out.MaxDuration = clamp(b.MaxDuration)
	return &out
}

// unfilled notes a {to} or {from} that nothing will fill: only a channel's
// inbound call flow has numbers to put there.
func unfilled(faults map[string][]string, member, value string) {
	if strings.Contains(value, "{to}") || strings.Contains(value, "{from}") {
		faults[member] = append(faults[member], "holds {to} or {from}, which stand for numbers in a channel's inbound call flow only")
	}
}

func unfilledFlow(faults map[string][]string, member string, flow []voice.FlowCommand) {
	for i, step := range flow {
		unfilledCommand(faults, fmt.Sprintf("%s.%d.options.", member, i), step.Command)
	}
}

func unfilledCommand(faults map[string][]string, at string, c voice.Command) {
	switch c := c.(type) {
	case *voice.Bridge:
		unfilled(faults, at+"to", c.To)
		unfilled(faults, at+"from", c.From)
		unfilledFlow(faults, at+"callFlow", c.Flow)
	case *voice.Playback:
		for i, name := range c.Media {
			unfilled(faults, fmt.Sprintf("%smedia.%d", at, i), name)
		}
	case *voice.Say:
		unfilled(faults, at+"text", c.Text)
	case *voice.Gather:
		if c.Playback != nil {
			unfilledCommand(faults, at+"playback.", c.Playback)
		}
		if c.Say != nil {
			unfilledCommand(faults, at+"say.", c.Say)
		}
	}
}

// flowFaults adds what is wrong with a flow that is given to a call.
func flowFaults(faults map[string][]string, flow []voice.FlowCommand, kinds []voice.CommandKind) {
	for member, what := range voice.FlowFaults(flow, "callFlow", kinds) {
		faults[member] = append(faults[member], what...)
	}
	unfilledFlow(faults, "callFlow", flow)
}
