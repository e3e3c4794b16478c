// Package apitest holds the tests of the HTTP API against a whole server: every
// row of its contract, every operation of its document, real calls behind it.
//
//	test → HTTP → server.Server ← SIP ← party
//
// Only tests use it. A Node owns the goroutines of its server and its parties
// and joins them at the end of the test.
package apitest
