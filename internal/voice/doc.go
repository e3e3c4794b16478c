// Package voice is the vocabulary of Tapedeck: the nouns (workspace, channel,
// call, recording), the verbs (commands and call flows), the states they go
// through, the rights on them, and the error codes. Read it first.
//
// It holds types and pure functions only. It starts nothing, reads nothing and
// imports nothing but the standard library. Every other package may import it.
package voice
