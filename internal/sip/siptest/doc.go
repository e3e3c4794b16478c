// Package siptest is a SIP peer for tests that sends what the test writes, literally,
// and shows what comes back, without any SIP stack of its own between: no transaction,
// no retransmission, no dialog. So a test can lose an ACK, send a message twice, or
// break every rule.
//
//	test's text → socket → agent under test → socket → Message → test
//
// Used by tests only. It starts no goroutine; sockets close with the test.
package siptest
