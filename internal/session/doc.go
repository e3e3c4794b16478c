// Package session holds the life of call sessions: a root call and every call
// bridged under it.
//
// One goroutine owns one session: its legs, its bridge, its call flows and its
// recordings. Everything that changes them is a message in its mailbox.
//
//	API verb, SIP event, media event, recorder event, deadline → mailbox → session.run → sip, media, recorder, store
//
// Called by control (API verbs) and dispatch (incoming calls). It is the only
// place where call state changes. It never waits for a disk, the database or a
// peer: what takes time answers with a message. The Manager starts the session
// goroutines and waits for them.
package session
