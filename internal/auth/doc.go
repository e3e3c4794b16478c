// Package auth finds out who asks: it turns an access key into a principal.
//
//	Authorization header → SHA-256 of the secret → key row (cached for half a second) → voice.Principal
//
// Control asks it for each request; the server and the administrator's commands
// make keys with it. What a principal may do is decided by voice.Principal.May,
// not here. It starts no goroutine, never logs, and never keeps or returns a
// secret after the one time that it was made.
package auth
