// Package media carries the audio of calls: legs, each with its UDP ports, and
// bridges between them.
//
//	socket → (batch) → worker → rtp.Receiver → taps
//	                                         → bridge: rewrite header → the other leg's socket
//	                                         → jitter, decoder → listeners, keys in the audio
//	                   worker's wheel        → prompts and keys, comfort silence, RTCP, media timeout
//
// There is one worker per CPU, a goroutine of its own that owns the sockets and
// the whole state of its legs; nothing of a leg is shared or locked. Both legs of
// a bridge live on the same worker. What session asks of a leg (Open, Configure,
// SetTaps, Join, Close) is a command in the worker's mailbox, and session waits
// for it; a worker waits for nobody. On Linux a worker has sockets of its own
// kind: a port that knows its peer is linked to it (link_linux.go) and served by
// io_uring where there is one (uring_linux.go), everything else by
// epoll (epoll_linux.go); elsewhere a goroutine per socket reads for it. Where it is asked
// for, the legs of a worker share a few ports (shared.go).
//
// Called by session. It must never know what a call is, block on a tap or a
// notification, decode what can be relayed or what nobody listens to, or allocate, lock or log
// per packet; a shared port takes a leaf lock for each batch.
// Workers are started and joined by Engine.Run, the readers of the portable
// driver by their worker.
package media
