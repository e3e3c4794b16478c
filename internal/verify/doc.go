// Package verify proves offline that a file is the one of which a receipt
// speaks, and that the receipt is as the installation signed it.
//
//	receipt + file (+ public key, + journal) → Run → Report → words for a person
//
// The command line, the demo and the tests of whole calls use it. It needs no
// server, no database and no network. It believes bytes only, and must never
// call something verified of which it could not see every byte. It starts no
// goroutine and never logs.
package verify
