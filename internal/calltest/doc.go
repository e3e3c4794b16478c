// Package calltest tests whole calls: the program itself, started as anybody
// starts it, with real SIP peers on loopback, and files judged by their sound.
//
//	peer (sipp, baresip, callgen) → tapedeck serve → API → WAV, receipt → assertion
//
// What is true is taken from the wire, by a capture of tshark, and never from
// the server's own account. Only tests import it; it owns the processes that
// it starts and waits for each of them.
package calltest
