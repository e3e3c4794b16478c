// Package audio does sums on 16-bit PCM: mixing, gain, levels, interleaving,
// changing the sample rate and following a clock.
//
//	[]int16 → functions, Resampler, Stretcher → []int16
//
// The renderer, the media engine and tests call it. It does no I/O, starts no
// goroutine and imports nothing. The functions are pure; a Resampler and a
// Stretcher belong to one stream and one goroutine.
package audio
