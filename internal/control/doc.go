// Package control has one method for every verb of the API.
//
//	verb + principal → authorise → check → session (live calls) | store (what was) | archive (audio) → voice types
//
// The HTTP server calls it, and so may any other door. Every method first asks
// whether the principal may do it on the resource's path. Errors for users are
// *voice.Error; any other error is an internal one and its text stays inside.
//
// It knows nothing of HTTP, starts no goroutine and keeps no state of its own:
// live calls belong to session, everything else to store and archive. What
// publish does beside archive comes in as functions, because it stands on the
// same floor.
package control
