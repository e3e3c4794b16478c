// Package sip is the SIP user agent: it answers and makes calls, keeps their dialogs
// in order and reports what happens to them as a few events.
//
//	socket → reader (parse once) → dialog's mailbox → dialog → Event (notify)
//	Invite, Answer, Reoffer, Hangup … → dialog's mailbox → dialog → socket
//
// dispatch gives it OnInvite; session and the synthetic parties hold its Dialogs. It
// must never know what a call of the product is, must not import anything internal,
// and must not look into an SDP body. It is the only home of sipgo.
//
// Of sipgo it uses the parser and the message model. Transports and transactions are
// its own, because sipgo's start a goroutine per message (so a dialog's messages
// overtake each other and nothing can be joined), keep the timers T1, T2 and T4 in
// package variables, and remember every UDP source for ever.
//
// Goroutines: Run owns one reader of the UDP socket, one acceptor, one reader and one
// writer for each TCP connection. A dialog has a goroutine only while its mailbox is
// not empty, and never more than one; everything of a dialog (messages, timers,
// commands, notify) happens on it, one after the other. Run waits for all of them.
package sip
