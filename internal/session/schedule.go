package session

import (
	"context"
	"fmt"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Schedule keeps a call to be placed at n.ScheduledFor: its row and the job that
// places it, in one transaction, so that no crash comes between them. One whose
// time has come is placed at once. Errors are as those of Dial.
func (m *Manager) Schedule(ctx context.Context, n NewCall) (voice.Call, error) {
	if !n.ScheduledFor.After(time.Now()) {
		return m.Dial(ctx, n)
	}
	call, _, err := n.call()
	if err != nil {
		return voice.Call{}, err
	}
	now := time.Now().UTC()
	call.ID, call.Workspace, call.Channel = voice.CallID(store.NewID()), n.Channel.Workspace, n.Channel.ID
	call.Status, call.Order = voice.CallScheduled, &n.Order
	call.CreatedAt, call.UpdatedAt = now, now
	err = m.o.DB.Update(ctx, func(tx *store.Tx) error {
		// Also when the channel was deleted a moment ago, so that none is left over.
		if _, err := tx.Channel(call.Workspace, call.Channel); err != nil {
			return err
		}
		if err := tx.PutCall(call); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{Kind: voice.JobDial, Ref: call.Ref(), RunAt: call.ScheduledFor})
	})
	if err != nil {
		return voice.Call{}, err
	}
	m.log.Info("call scheduled", "call", call.ID, "to", call.To, "at", call.ScheduledFor)
	m.o.Wake(voice.JobDial)
	return call, nil
}

// Place is the handler of voice.JobDial: it places a scheduled call whose time
// has come, at most once. A call that cannot be placed any more fails and says
// why; one that has no room now is tried again.
func (m *Manager) Place(ctx context.Context, job store.Job) error {
	ws, id, err := voice.SplitCallRef(job.Ref)
	if err != nil {
		m.log.Error("job names no call", "job", job.ID, "error", err)
		return nil // there is nothing to try again
	}
	full := m.admit()
	placed := false
	defer func() {
		if full == nil && !placed {
			m.leave()
		}
	}()
	var due *dueCall
	// What decides is written in the transaction that reads it: a call that was
	// taken back is not placed, and one that is on its way is not taken back.
	err = m.o.DB.Update(ctx, func(tx *store.Tx) (err error) {
		due, err = m.due(tx, ws, id, full)
		return err
	})
	if err != nil || due == nil {
		return err
	}
	placed = true
	_, err = m.place(context.WithoutCancel(ctx), due.channel, due.call, due.order, due.to)
	return err
}

// dueCall is a scheduled call on its way.
type dueCall struct {
	call    voice.Call
	order   voice.CallOrder
	channel voice.Channel
	to      destination
}

// due makes a scheduled call an accepted one. It returns nil when there is
// nothing to place: the call was taken back, or has failed. full says why no call
// can be placed now.
func (m *Manager) due(tx *store.Tx, ws voice.WorkspaceID, id voice.CallID, full error) (*dueCall, error) {
	c, err := tx.Call(ws, "", id)
	if voice.CodeOf(err) == voice.CodeNotFound || (err == nil && c.Status != voice.CallScheduled) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := &dueCall{}
	if c.Order != nil {
		d.order = *c.Order
	}
	d.channel, err = tx.Channel(ws, c.Channel)
	if voice.CodeOf(err) == voice.CodeNotFound {
		return nil, m.dropScheduled(tx, c, "its channel was deleted")
	}
	if err != nil {
		return nil, err
	}
	if late := time.Since(c.ScheduledFor); late > voice.MaxScheduleLate {
		return nil, m.dropScheduled(tx, c, fmt.Sprintf("it could not be placed in time: the server was down or full until %s after it was due", late.Round(time.Second)))
	}
	if d.to, err = target(&d.channel, c.To); err != nil {
		return nil, m.dropScheduled(tx, c, err.Error())
	}
	if full != nil {
		return nil, full
	}
	c.Status, c.Order, c.UpdatedAt = voice.CallAccepted, nil, time.Now().UTC()
	d.call = c
	return d, tx.PutCall(c)
}

// dropScheduled writes down that a scheduled call will not be placed.
func (m *Manager) dropScheduled(tx *store.Tx, c voice.Call, why string) error {
	m.log.Warn("scheduled call is not placed", "call", c.ID, "reason", why)
	c.Status, c.HangupSource, c.Reason = voice.CallFailed, voice.HangupByNone, why
	c.UpdatedAt = time.Now().UTC()
	c.EndedAt = c.UpdatedAt
	return tx.PutCall(c)
}

// Unschedule takes back a call that waits for its time: it is cancelled. One that
// waits no more is call_not_in_state.
func (m *Manager) Unschedule(ctx context.Context, ws voice.WorkspaceID, id voice.CallID) (voice.Call, error) {
	return m.changeScheduled(ctx, ws, id, func(c *voice.Call) {
		c.Status, c.HangupSource = voice.CallCancelled, voice.HangupByAPI
		c.EndedAt = c.UpdatedAt
	})
}

// Reflow gives a call that waits for its time another call flow. One that waits
// no more is call_not_in_state.
func (m *Manager) Reflow(ctx context.Context, ws voice.WorkspaceID, id voice.CallID, flow []voice.FlowCommand) (voice.Call, error) {
	return m.changeScheduled(ctx, ws, id, func(c *voice.Call) {
		order := voice.CallOrder{}
		if c.Order != nil {
			order = *c.Order
		}
		order.Flow = flow
		c.Order = &order
	})
}

func (m *Manager) changeScheduled(ctx context.Context, ws voice.WorkspaceID, id voice.CallID, change func(*voice.Call)) (c voice.Call, err error) {
	err = m.o.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if c, err = tx.Call(ws, "", id); err != nil {
			return err
		}
		if c.Status != voice.CallScheduled {
			return notInState("The call waits for its time no more: it is %s", c.Status)
		}
		c.UpdatedAt = time.Now().UTC()
		change(&c)
		return tx.PutCall(c)
	})
	return c, err
}
