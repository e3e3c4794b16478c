// Package client calls the HTTP API of a Tapedeck server.
//
//	your program → Client → HTTP → Tapedeck
//
// It has the models of the API and a method for each operation, generated from
// api/openapi.yaml, and by hand what a program needs beside them: requests that
// are tried again where that is safe, refusals as *Error, iterators over lists,
// the stream of events, call flows, and downloads that go on where they were cut
// off. In requests, members that are zero are left out; where zero means
// something else than nothing, the member is a pointer (new(false) makes one).
//
// A Client may be used by many goroutines at once. It starts none: what it does,
// it does in the goroutine of its caller, and ends with the context. It imports
// nothing of the server but how receipts are signed, and logs nothing.
package client
