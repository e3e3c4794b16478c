// Package dispatch finds out whose an incoming INVITE is: which channel of
// which workspace, and whether the caller may call it.
//
//	sip.Agent → Dispatcher.Invite → store (channel) → session.Manager.Incoming
//
// Called by the SIP agent in a goroutine of its own for each INVITE. It may
// wait for the database; it keeps nothing and starts nothing.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/session"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Dispatcher works with. DB and Sessions are needed.
type Options struct {
	DB         *store.DB
	Sessions   *session.Manager
	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Dispatcher hands incoming calls to sessions.
type Dispatcher struct {
	o       Options
	refused *prometheus.CounterVec
}

// New makes a Dispatcher.
func New(o Options) (*Dispatcher, error) {
	if o.DB == nil || o.Sessions == nil {
		return nil, errors.New("dispatch: DB and Sessions are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{o: o, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tapedeck_dispatch_refused_total", Help: "Incoming calls that were turned away, by reason.",
	}, []string{"reason"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(d.refused)
	}
	return d, nil
}

// lookupTimeout is how long a caller waits for the database before it is told
// to try again.
const lookupTimeout = 5 * time.Second

// Invite takes one incoming INVITE. The dialog is answered in every case.
func (d *Dispatcher) Invite(dialog *sip.Dialog) {
	r := dialog.Request()
	channel, err := d.channel(r.URIUser)
	switch {
	case voice.CodeOf(err) == voice.CodeNotFound:
		d.refuse(dialog, "no-channel", 404, "Not Found")
		return
	case err != nil:
		d.o.Logger.Error("channel of an incoming call was not found", "to", r.URIUser, "error", err)
		d.refuse(dialog, "database", 503, "Service Unavailable")
		return
	case !mayCall(&channel.Inbound, r.Source.Addr()):
		d.refuse(dialog, "source", 403, "Forbidden")
		return
	case !d.proven(dialog, &channel.Inbound):
		if err := dialog.Challenge(); err != nil {
			d.o.Logger.Warn("challenge was not sent", "source", r.Source, "error", err)
		}
		return
	}
	if err := d.o.Sessions.Incoming(dialog, channel); err != nil {
		d.refused.WithLabelValues("no-room").Inc()
		d.o.Logger.Warn("incoming call was refused", "source", r.Source, "to", r.URIUser, "error", err)
	}
}

// proven reports whether the caller shows the channel's secret, where it has a
// user name. An empty secret is none, and proves nothing.
func (*Dispatcher) proven(dialog *sip.Dialog, in *voice.Inbound) bool {
	return in.Username == "" || (in.Password != "" && dialog.CheckDigest(in.Username, in.Password))
}

func (d *Dispatcher) channel(user string) (voice.Channel, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	return d.o.DB.ChannelForNumber(ctx, user)
}

func (d *Dispatcher) refuse(dialog *sip.Dialog, reason string, code int, phrase string) {
	d.refused.WithLabelValues(reason).Inc()
	r := dialog.Request()
	d.o.Logger.Info("incoming call refused", "reason", reason, "source", r.Source, "to", r.URIUser, "code", code)
	if err := dialog.Reject(code, phrase); err != nil {
		d.o.Logger.Warn("refusal was not sent", "source", r.Source, "error", err)
	}
}

// mayCall reports whether the channel takes calls from the address. A channel
// that names neither networks nor a user takes calls from this machine only.
func mayCall(in *voice.Inbound, from netip.Addr) bool {
	from = from.Unmap()
	if len(in.Sources) == 0 {
		return in.Username != "" || from.IsLoopback()
	}
	for _, network := range in.Sources {
		if network.Contains(from) {
			return true
		}
	}
	return false
}
