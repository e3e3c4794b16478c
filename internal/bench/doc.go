// Package bench measures how many bridged and recorded calls this machine holds.
//
//	steps → server process on its cores ⇄ load of marked frames on other cores → verdict, sample of recordings → Result
//
// Each step starts the program anew as a process of its own, on an empty data
// directory, and treats it as any client does: SIP, RTP, HTTP. Every frame is
// marked, so that what is lost, doubled, sent to another party or late is known
// exactly, on the wire and in the files.
//
// The command bench calls it. It must not look into the server, and says when it
// was the load generator, and not the server, that reached its limit. It owns
// the goroutines and the processes that it starts, and waits for them.
package bench
