// Package background does heavy work so that calls do not feel it: a bounded
// number of pieces at once, each on an operating-system thread of low priority.
//
//	Do, First, Within(ctx, work) → wait for a place → thread of low priority → work(ctx) → its error
//
// Publish does all its rendering and converting in here; when processes of their
// own do the heavy part (internal/render/workshop), the work only waits for them,
// and needs no thread of its own. The masters of
// recordings have a place of their own (First), so that they never wait for what
// was only asked for. A piece of work runs in
// a goroutine that Do starts and joins; the thread ends with it, because a
// priority that was lowered cannot be raised again without rights.
//
// It must never hold a lock that a call could want while it works, and it must
// not go lower than it does: the garbage collector stops all threads, and so
// waits for the slowest. A thread of the lowest priority (nice 19, SCHED_IDLE) is
// hardly run at all on a busy machine; all others, those of the calls among them,
// would then wait for it tens of milliseconds at every collection.
package background
