package sip

import "time"

// Event is what happens to a dialog. The set is closed: Ringing, Answered, Confirmed,
// Offered, Reanswered, ReofferFailed, Info, Ended. The events of one dialog are delivered one
// after the other, in the order of the wire, without a lock held, on the dialog's own
// goroutine. The receiver must not block; it may call the dialog's methods.
type Event interface{ event() }

// Ringing is a provisional response (180..183, 199) to an outbound call, of any of the
// places that it was forked to. Repetitions are left out.
type Ringing struct {
	Code int
	SDP  []byte // early media, may be nil
}

// Answered is the first 2xx to an outbound call. The ACK has already been sent.
type Answered struct {
	SDP       []byte
	UserAgent string
}

// Confirmed means that the ACK to our 2xx came. SDP is the answer to the offer in our
// 2xx; it is nil when the INVITE carried the offer.
type Confirmed struct{ SDP []byte }

// Offered is a re-INVITE or UPDATE with an offer. It waits for AcceptOffer or
// RefuseOffer. SDP nil means a re-INVITE without offer: AcceptOffer gives ours, and the
// peer's answer to it comes with Confirmed.
type Offered struct{ SDP []byte }

// Reanswered is the peer's answer to a Reoffer; also its answer to a session refresh of
// ours, when it differs from what the peer said last.
type Reanswered struct{ SDP []byte }

// ReofferFailed means that the peer refused a Reoffer with this status code; what was
// agreed before still stands. Code 491 means that the peer's own offer came first.
type ReofferFailed struct{ Code int }

// Info is a key that the peer pressed, told by INFO beside the audio.
type Info struct {
	Key      byte          // '0'..'9', '*', '#', 'A'..'D'
	Duration time.Duration // 0 = not told
}

// Ended is the last event of every dialog, and comes exactly once.
type Ended struct {
	By Side
	// Code is the final SIP status: 200 for a BYE, 487 for a CANCEL, else the refusal.
	Code int
	// Q850 is the cause, from the peer's Reason header (RFC 3326) or else from Code.
	Q850 int
	// Reason is the peer's words, may be empty.
	Reason string
}

func (Ringing) event()       {}
func (Answered) event()      {}
func (Confirmed) event()     {}
func (Offered) event()       {}
func (Reanswered) event()    {}
func (ReofferFailed) event() {}
func (Info) event()          {}
func (Ended) event()         {}

// Side tells who or what ended a dialog.
type Side uint8

// Local is our own Hangup, Reject or Challenge; Remote the peer; Timeout means that the
// peer was silent for too long; Transport that a message could not be sent.
const (
	Local Side = iota
	Remote
	Timeout
	Transport
)

// String gives the side's name in lower case.
func (s Side) String() string {
	switch s {
	case Local:
		return "local"
	case Remote:
		return "remote"
	case Timeout:
		return "timeout"
	}
	return "transport"
}
