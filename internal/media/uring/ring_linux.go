//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The parts of io_uring(7) that are used, from linux/io_uring.h.
const (
	opPollAdd = 6
	opSend    = 26
	opRecv    = 27

	setupCQSize       = 1 << 3
	setupRDisabled    = 1 << 6
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerEnableRings = 12
	registerFilesUpdate = 14 // IORING_REGISTER_FILES_UPDATE2
	registerFiles2      = 13
	registerPbufRing    = 22
	registerSyncCancel  = 24

	sparseFiles = 1 << 0 // IORING_RSRC_REGISTER_SPARSE

	sqeFixedFile    = 1 << 0
	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6

	HasBuffer = 1 << 0 // of Result.Flags: it has bytes, see Bytes
	More      = 1 << 1 // of Result.Flags: what was asked for goes on

	recvMultishot = 1 << 1

	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32
	resv                                                               [3]uint32
	sq                                                                 sqOffsets
	cq                                                                 cqOffsets
}

// entry is struct io_uring_sqe.
type entry struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	length        uint32
	opFlags       uint32
	userData      uint64
	bufGroup      uint16
	personality   uint16
	fileIndex     uint32
	addr3, pad    uint64
}

// Result is struct io_uring_cqe.
type Result struct {
	UserData uint64 // the key that it was asked for under
	Res      int32  // bytes, or below zero the error
	Flags    uint32
}

// room is struct io_uring_buf. The tail of the ring lies in the last two bytes of
// the first one.
type room struct {
	addr   uint64
	length uint32
	id     uint16
	tail   uint16
}

const (
	ringEntries = 1024 // submissions that can wait; more are submitted in between
	ringResults = 4096
	// rooms are the buffers that the kernel receives into. It fills some twenty
	// before it comes back; what finds none is told and asked for again.
	rooms = 1024
	// roomSize has a byte more than is read whole, to see that a datagram was longer.
	roomSize   = DatagramSize + 1
	roomStride = (roomSize + 63) &^ 63
	// MostSeats bounds the sockets that a ring knows. Others are read as without it.
	MostSeats = 1 << 15
)

// Ring is an io_uring of one worker: many sockets are received from, and many
// datagrams sent, by one system call. One thread uses it, which is the first that
// enters it.
type Ring struct {
	fd      int
	enabled bool

	sqTail  *uint32
	sqHead  *uint32
	sqes    []entry
	queued  uint32 // entries that were not submitted yet
	tail    uint32
	cqHead  *uint32
	cqTail  *uint32
	results []Result

	rooms   []room
	memory  []byte // of the buffers
	given   uint16 // tail of rooms
	used    []uint16
	former  []uint16 // used before the last enter: no longer read by the kernel
	mapped  [][]byte // to be unmapped
	stuck   bool     // the last enter did not submit everything
	file    int32
	timeout unix.Timespec
	arg     struct {
		sigmask   uint64
		sigmaskSz uint32
		minWait   uint32
		ts        uint64
	}
}

// New makes a ring, or says why this system has none: the kernel is older than
// 6.1, or it is forbidden (many container run-times do that).
func New(seats int) (_ *Ring, err error) {
	p := ringParams{flags: setupSingleIssuer | setupDeferTaskrun | setupCQSize | setupSubmitAll | setupRDisabled, cqEntries: ringResults}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &Ring{fd: int(fd)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	sq, err := r.mapRing(offSQRing, int(p.sq.array+p.sqEntries*4))
	if err != nil {
		return nil, err
	}
	cq, err := r.mapRing(offCQRing, int(p.cq.cqes)+int(p.cqEntries)*int(unsafe.Sizeof(Result{})))
	if err != nil {
		return nil, err
	}
	entries, err := r.mapRing(offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(entry{})))
	if err != nil {
		return nil, err
	}
	word := func(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
	r.sqHead, r.sqTail = word(sq, p.sq.head), word(sq, p.sq.tail)
	r.cqHead, r.cqTail = word(cq, p.cq.head), word(cq, p.cq.tail)
	r.sqes = unsafe.Slice((*entry)(unsafe.Pointer(&entries[0])), p.sqEntries)
	r.results = unsafe.Slice((*Result)(unsafe.Pointer(&cq[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries { // entries are used in their order
		*word(sq, p.sq.array+4*i) = i
	}
	if err := r.registerFiles(seats); err != nil {
		return nil, err
	}
	return r, r.provide()
}

func (r *Ring) mapRing(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	r.mapped = append(r.mapped, b)
	return b, nil
}

func (r *Ring) mapMemory(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	r.mapped = append(r.mapped, b)
	return b, nil
}

func (r *Ring) register(op uintptr, arg unsafe.Pointer, n uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return os.NewSyscallError(fmt.Sprintf("io_uring_register %d", op), errno)
	}
	return nil
}

// registerFiles makes an empty table of files. The kernel finds a file of it
// faster than a descriptor.
func (r *Ring) registerFiles(n int) error {
	arg := struct {
		n, flags         uint32
		resv, data, tags uint64
	}{n: uint32(n), flags: sparseFiles}
	return r.register(registerFiles2, unsafe.Pointer(&arg), unsafe.Sizeof(arg))
}

// SetFile puts a descriptor into a place of the table; -1 empties it.
func (r *Ring) SetFile(seat int32, fd int32) error {
	r.file = fd // the kernel reads it there
	arg := struct {
		offset, resv uint32
		data, tags   uint64
		n, resv2     uint32
	}{offset: uint32(seat), data: uint64(uintptr(unsafe.Pointer(&r.file))), n: 1}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerFilesUpdate, uintptr(unsafe.Pointer(&arg)), unsafe.Sizeof(arg), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register files", errno)
	}
	return nil
}

// provide gives the kernel the buffers.
func (r *Ring) provide() error {
	table, err := r.mapMemory(rooms * int(unsafe.Sizeof(room{})))
	if err != nil {
		return err
	}
	if r.memory, err = r.mapMemory(rooms * roomStride); err != nil {
		return err
	}
	r.rooms = unsafe.Slice((*room)(unsafe.Pointer(&table[0])), rooms)
	arg := struct {
		addr    uint64
		entries uint32
		group   uint16
		flags   uint16
		resv    [3]uint64
	}{addr: uint64(uintptr(unsafe.Pointer(&table[0]))), entries: rooms}
	if err := r.register(registerPbufRing, unsafe.Pointer(&arg), 1); err != nil {
		return err
	}
	r.used, r.former = make([]uint16, 0, rooms), make([]uint16, 0, rooms)
	all := make([]uint16, rooms)
	for i := range all {
		all[i] = uint16(i)
	}
	r.give(all)
	return nil
}

// give hands buffers to the kernel.
func (r *Ring) give(ids []uint16) {
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		b := &r.rooms[r.given%rooms]
		b.addr = uint64(uintptr(unsafe.Pointer(&r.memory[int(id)*roomStride])))
		b.length, b.id = roomSize, id
		r.given++
	}
	// The tail shares its word with the id of the first buffer; both systems that
	// this is built for are little-endian.
	last := (*uint32)(unsafe.Pointer(&r.rooms[0].id))
	atomic.StoreUint32(last, uint32(r.rooms[0].id)|uint32(r.given)<<16)
}

// Enable lets the calling thread use the ring, the first time.
func (r *Ring) Enable() error {
	if r.enabled {
		return nil
	}
	if err := r.register(registerEnableRings, nil, 0); err != nil {
		return err
	}
	r.enabled = true
	return nil
}

// next is a place for a submission; nil when the kernel takes none.
func (r *Ring) next() *entry {
	if r.tail-atomic.LoadUint32(r.sqHead) == uint32(len(r.sqes)) {
		if r.Submit(); r.tail-atomic.LoadUint32(r.sqHead) == uint32(len(r.sqes)) {
			return nil
		}
	}
	e := &r.sqes[r.tail%uint32(len(r.sqes))]
	*e = entry{}
	r.tail++
	r.queued++
	return e
}

// Submit lets the kernel do what is queued. Datagrams are sent when it returns.
func (r *Ring) Submit() {
	if r.queued == 0 {
		return
	}
	atomic.StoreUint32(r.sqTail, r.tail)
	n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.queued), 0, 0, 0, 0)
	if errno == 0 {
		r.queued -= uint32(n)
	}
}

// Enter submits, and waits until there is a result or the time is over; below
// zero: there is no end. Raw: without telling the run-time that it waits.
func (r *Ring) Enter(timeout time.Duration, raw bool) error {
	atomic.StoreUint32(r.sqTail, r.tail)
	r.arg.ts = 0
	if timeout >= 0 {
		r.timeout = unix.NsecToTimespec(int64(timeout))
		r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.timeout)))
	}
	call := unix.Syscall6
	if raw {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.queued), 1, enterGetEvents|enterExtArg,
		uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	switch errno {
	case 0:
		r.queued -= uint32(n)
	case unix.ETIME, unix.EINTR, unix.EBUSY, unix.EAGAIN:
		// Nothing came, a signal did, or results have to be taken first. What was
		// submitted before is not submitted again.
		r.queued = r.tail - atomic.LoadUint32(r.sqHead)
	default:
		return os.NewSyscallError("io_uring_enter", errno)
	}
	r.stuck = r.queued > 0
	return nil
}

// Receive asks for everything that comes to the socket at a seat, one result each.
func (r *Ring) Receive(seat int32, key uint64) bool {
	e := r.next()
	if e == nil {
		return false
	}
	e.opcode, e.flags, e.ioprio = opRecv, sqeFixedFile|sqeBufferSelect, recvMultishot
	e.fd, e.opFlags, e.userData = seat, unix.MSG_TRUNC, key
	return true
}

// Send sends bytes of the ring's memory by the socket at a seat. Only a failure
// has a result.
func (r *Ring) Send(seat int32, data []byte, key uint64) bool {
	e := r.next()
	if e == nil {
		return false
	}
	e.opcode, e.flags = opSend, sqeFixedFile|sqeSkipSuccess
	// MSG_DONTWAIT: it is sent while it is submitted, or not at all.
	e.fd, e.opFlags, e.userData = seat, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, key
	e.addr, e.length = uint64(uintptr(unsafe.Pointer(&data[0]))), uint32(len(data))
	return true
}

// Watch asks for one result when a descriptor has something to read.
func (r *Ring) Watch(fd int, key uint64) bool {
	e := r.next()
	if e == nil {
		return false
	}
	e.opcode, e.fd, e.opFlags, e.userData = opPollAdd, int32(fd), unix.POLLIN, key
	return true
}

// Cancel ends what was asked for under a key, and waits for that. Results that
// there are already stay.
func (r *Ring) Cancel(key uint64) error {
	r.Submit()
	arg := struct {
		addr      uint64
		fd        int32
		flags     uint32
		sec, nsec int64
		opcode    uint8
		pad       [7]uint8
		pad2      [3]uint64
	}{addr: key, fd: -1, sec: -1, nsec: -1}
	err := r.register(registerSyncCancel, unsafe.Pointer(&arg), 1)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// Take returns the next result; false when there is none.
func (r *Ring) Take() (Result, bool) {
	head := *r.cqHead
	if head == atomic.LoadUint32(r.cqTail) {
		return Result{}, false
	}
	c := r.results[head%uint32(len(r.results))]
	atomic.StoreUint32(r.cqHead, head+1)
	return c, true
}

// Ready is how many results there are.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - *r.cqHead) }

// Waiting calls f with the results that nobody took yet.
func (r *Ring) Waiting(f func(*Result)) {
	for at, end := *r.cqHead, atomic.LoadUint32(r.cqTail); at != end; at++ {
		f(&r.results[at%uint32(len(r.results))])
	}
}

// Bytes are those of the buffer of a result. They are valid until the second
// Recycle from now.
func (r *Ring) Bytes(c *Result) []byte {
	id := uint16(c.Flags >> 16)
	r.used = append(r.used, id)
	at := int(id) * roomStride
	return r.memory[at : at+int(min(c.Res, DatagramSize)) : at+roomSize]
}

// Peek are the bytes of a result that nobody took yet.
func (r *Ring) Peek(c *Result) []byte {
	at := int(c.Flags>>16) * roomStride
	return r.memory[at : at+int(min(c.Res, DatagramSize))]
}

// Holds says whether bytes are of the ring's memory, and where.
func (r *Ring) Holds(b []byte) (at int, ok bool) {
	d := uintptr(unsafe.Pointer(&b[0])) - uintptr(unsafe.Pointer(&r.memory[0]))
	return int(d), d < uintptr(len(r.memory))
}

// At is the inverse of holds.
func (r *Ring) At(at, size int) []byte { return r.memory[at : at+size] }

// Recycle gives back the buffers that were used before the last enter: what was to
// be sent of them is sent.
func (r *Ring) Recycle() {
	if r.stuck {
		r.former, r.used = append(r.former, r.used...), r.used[:0]
		return
	}
	r.give(r.former)
	r.former, r.used = r.used, r.former[:0]
}

// Close frees the ring and its memory. Nothing of it may be used afterwards.
func (r *Ring) Close() error {
	err := os.NewSyscallError("close io_uring", unix.Close(r.fd))
	for _, b := range r.mapped {
		err = errors.Join(err, os.NewSyscallError("munmap", unix.Munmap(b)))
	}
	r.mapped = nil
	return err
}
