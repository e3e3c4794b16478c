// Package audio does sums on 16-bit PCM: mixing, gain, levels, interleaving and
// stretching by a few samples.
//
//	[]int16 → functions → []int16
//
// The renderer, the media engine and tests call it. It is pure: no I/O, no
// goroutine, no state, and it imports nothing. Resampling between rates of 8, 16
// and 48 kHz with a band-limited filter belongs here too.
package audio
