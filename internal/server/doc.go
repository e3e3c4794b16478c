// Package server builds everything that one Tapedeck node is made of, in
// order, runs it, and takes it down in the opposite order.
//
//	config → New (lock, database, engines, sockets) → Run → drain → Close
//
// The commands serve and demo start it, and so do the end-to-end tests, with
// port 0. It is the only importer of config and of everything that it wires.
// It owns the goroutines of all engines and waits for each of them. It must
// hold no behaviour of its own: a decision belongs to the package it is about.
package server
