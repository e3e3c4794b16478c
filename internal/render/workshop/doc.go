// Package workshop makes files: of journals, of other files, in this process or
// in processes of their own that yield to the calls.
//
//	Crew.Make(Order) → a free process, or a new one → its socket: the order and the open files → Serve there → Result
//	Here.Make(Order) → render → Result
//
// A goroutine that renders keeps one of the run-time's processors for up to 10 ms
// at a time, and every collection of memory waits for its thread, however low its
// priority. A process has a run-time of its own: the kernel alone decides who
// waits, and it never lets a call wait for a process of the lowest priority. What
// else a process gives: when a file cannot be made without too much memory, or by
// a C library that crashes, that process ends, not the server.
//
// Crew keeps the processes: it starts one when an order finds none that is free,
// so that there are as many as orders at once, and ends those that had nothing to
// do for a while. What they are given is open files and the path of a journal;
// they have no settings, no keys and no database. They end when the server does,
// however that ends, because their socket does. Serve is the other side of it: what
// the process runs, on its main goroutine and one that works.
//
// internal/publish orders, internal/server has the Crew, cmd/tapedeck calls Serve.
// Each process is waited for by a goroutine that Close joins. It must never wait
// for anything but its own work: who may order how much is decided before.
package workshop
