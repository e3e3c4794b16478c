// Package admin answers what the machinery around a server asks: does it live,
// does it take work, how is it doing.
//
//	GET /healthz, /readyz, /metrics → checks (database, draining, room) → 200 | 503
//
// The HTTP API hands these addresses to it without asking for an access key, so
// that its answers name no person, number, id or path of the machine. It
// starts no goroutine.
package admin
