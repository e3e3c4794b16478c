// Package cn is comfort noise, RFC 3389: what a party that says nothing sends
// about the noise around it, and noise made to that description.
//
// IO flow: payload → Generator.Update; Generator.Fill → 16-bit PCM.
//
// Called by codec (NewNoise). It imports nothing of Tapedeck, does no I/O,
// starts no goroutine and allocates nothing per frame. The noise of a generator
// is the same every time, so that what is rendered twice is the same twice.
package cn
