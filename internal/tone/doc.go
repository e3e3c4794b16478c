// Package tone makes the sounds of telephony: ringing tones as the countries know
// them, the beep before a message, and the two tones of a key.
//
//	country or keys → audio.Clip
//
// media and session play them. It is pure: no I/O, no state, no goroutine, and it
// knows nothing of calls.
package tone
