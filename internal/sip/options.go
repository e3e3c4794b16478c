package sip

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options describes a user agent.
type Options struct {
	// Listen is where UDP and TCP are served, both on the same port:
	// "127.0.0.1:5060". Port 0 takes one that is free on both. Default "127.0.0.1:0".
	Listen string
	// UserAgent goes into the User-Agent and Server headers. Default "Tapedeck".
	UserAgent string
	// OnInvite gets each new inbound call, on the dialog's own goroutine. It must not
	// block; it, or somebody later, calls Bind on the dialog. Without it every call is
	// answered with 480.
	OnInvite func(*Dialog)
	// SessionExpires is the session interval that we ask for (RFC 4028 §4). 0 means
	// 30 minutes, less than 0 means that we neither ask for nor accept a session timer.
	SessionExpires time.Duration
	// MinSE is the shortest session interval that we accept (RFC 4028 §5). 0 means 90 s.
	MinSE time.Duration
	// T1 is the round-trip estimate of RFC 3261 §17.1.1.1, from which all other timers
	// follow (T2 = 8·T1, T4 = 10·T1, 64·T1 …). 0 means 500 ms.
	T1 time.Duration
	// MaxMessage is the size in bytes of the biggest message that is read. 0 means 65535,
	// which is also the most.
	MaxMessage int
	// MaxConnections bounds the TCP connections. 0 means 4096.
	MaxConnections int
	// Logger gets what an operator should know. nil means silence.
	Logger *slog.Logger
	// Registerer gets the tapedeck_sip_* metrics. nil means that they are kept to ourselves.
	Registerer prometheus.Registerer

	second time.Duration // how long a second of a session interval lasts; tests shorten it
}

// InviteOptions describes an outbound call.
type InviteOptions struct {
	// To is where the call goes: a sip: URI, ";transport=udp|tcp" with it. It is the
	// request-URI and, without its parameters, the To header.
	To string
	// From is who calls: a sip: or tel: URI, or only a user part (a number), which gets
	// our host. FromName is the display name; it may be empty.
	From, FromName string
	// SDP is the offer. It is required: an INVITE without one is never sent.
	SDP []byte
	// Username and Password answer a digest challenge (401, 407). Without a Username a
	// challenge ends the call.
	Username, Password string
	// Headers are added to the INVITE as they are. Headers that this package writes
	// itself cannot be given.
	Headers map[string]string
	// MaxForwards for the INVITE (RFC 3261 §8.1.1.6). 0 means 70. A call that is made on
	// behalf of an inbound one should carry that one's value less one, so that a
	// routing loop ends.
	MaxForwards int
}

// Request tells about the INVITE that made a dialog.
type Request struct {
	CallID   string
	FromUser string // user part of the From URI, or the number of a tel: URI
	FromName string // display name
	FromURI  string
	ToUser   string
	URIUser  string // user part of the request-URI
	// Source is where the INVITE came from; zero for an outbound call.
	Source    netip.AddrPort
	Transport string // "udp" or "tcp"
	UserAgent string
	SDP       []byte
	// MaxForwards of the INVITE; 70 when it had none.
	MaxForwards int
}
