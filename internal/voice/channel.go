package voice

import (
	"net/netip"
	"strings"
	"time"
)

// Workspace is a tenant. Nothing of one workspace is visible in another.
type Workspace struct {
	ID        WorkspaceID
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Channel is a number or trunk of a workspace. Calls belong to a channel.
type Channel struct {
	ID        ChannelID
	Workspace WorkspaceID
	Name      string
	Number    string // "*" = every number that no other channel owns
	Trunk     Trunk
	Inbound   Inbound
	Codecs    []string // preference order; empty = the server's
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Trunk is where a channel's calls to phone numbers are sent.
type Trunk struct {
	URI      string `json:"uri,omitempty"` // sip:host:port;transport=udp|tcp; empty = no trunk
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// Inbound says who may call a channel, and what happens then.
type Inbound struct {
	Sources     []netip.Prefix `json:"sources,omitempty"`  // networks that may call
	Username    string         `json:"username,omitempty"` // asks for digest when set
	Password    string         `json:"password,omitempty"`
	RingTimeout int            `json:"ringTimeout,omitempty"` // seconds; 0 = 30
	Flow        []FlowCommand  `json:"callFlow,omitempty"`
}

// DefaultRingTimeout holds where a channel or command names no ring timeout.
const DefaultRingTimeout = 30 * time.Second

// RingTime is how long an inbound call without an answer rings.
func (in *Inbound) RingTime() time.Duration {
	if in.RingTimeout <= 0 {
		return DefaultRingTimeout
	}
	return time.Duration(in.RingTimeout) * time.Second
}

// AnyNumber is the number of a channel that takes what no other channel owns.
const AnyNumber = "*"

// SameNumber compares two phone numbers. A leading "+" does not count.
func SameNumber(a, b string) bool {
	return strings.TrimPrefix(a, "+") == strings.TrimPrefix(b, "+")
}
