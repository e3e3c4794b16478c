// Package client calls Tapedeck's HTTP API: with the access key, with errors
// that say what the server said, and with waits for what takes time.
//
//	Client → request → server → JSON → the caller's struct
//
// The demo, the benchmarks and the tests of whole calls use it. It must not
// know how the server does anything: it is what any other client could be.
package client
