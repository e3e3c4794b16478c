package render

// pending is a packet that waits until it is known what comes before it.
type pending struct {
	start   int64 // of the session, in samples of the file's rate
	length  int64
	seq     int64 // without wraps
	stream  int
	format  *format
	pt      uint8
	noise   bool // a description of comfort noise, RFC 3389
	excused bool // the sequence numbers missing before it were not lost
	payload []byte
}

// after says whether a packet's turn is after another's: in the order of their
// places, and of their numbers where they share one.
func (p *pending) after(o *pending) bool {
	if p.start != o.start || p.stream != o.stream {
		return p.start > o.start
	}
	return p.seq > o.seq
}

// queue holds the pending packets of a track in the order of their turns.
type queue struct {
	items []pending
	head  int // items before it are done
}

// first is the packet whose turn is next, nil when there is none. It is valid
// until push.
func (q *queue) first() *pending {
	if q.head == len(q.items) {
		return nil
	}
	return &q.items[q.head]
}

// push puts a packet in its place. Packets come nearly in order, so that the
// place is near the end.
func (q *queue) push(p pending) {
	if q.head > 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, p)
	at := len(q.items) - 1
	for at > q.head && q.items[at-1].after(&p) {
		q.items[at] = q.items[at-1]
		at--
	}
	q.items[at] = p
}

// pop takes the first packet.
func (q *queue) pop() pending {
	p := q.items[q.head]
	q.items[q.head] = pending{}
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return p
}

// store keeps the payloads of pending packets. Their memory is used again.
type store struct {
	free  [][]byte
	spare int // bytes of free
	held  int // bytes of pending packets, with what it takes to keep them
}

const (
	// pendingSize is what a pending packet takes besides its payload.
	pendingSize = 96
	// maxHeld bounds the pending packets of all tracks. Twelve seconds of a
	// hundred voices are less; whoever sends more is decoded earlier, and has less
	// time for packets that come late.
	maxHeld = 16 << 20
	// maxFree and maxSpare bound what is kept for later.
	maxFree  = 4096
	maxSpare = 4096
)

// adopt takes over what an earlier rendering had.
func (s *store) adopt(d *Desk) {
	s.free, d.payloads = d.payloads, nil
	for _, b := range s.free {
		s.spare += cap(b)
	}
}

// keep copies a payload.
func (s *store) keep(payload []byte) []byte {
	s.held += len(payload) + pendingSize
	var b []byte
	if k := len(s.free) - 1; k >= 0 {
		b, s.free = s.free[k], s.free[:k]
		s.spare -= cap(b)
	}
	return append(b[:0], payload...)
}

// release takes a payload back.
func (s *store) release(b []byte) {
	s.held -= len(b) + pendingSize
	if len(s.free) < maxFree && cap(b) <= maxSpare {
		s.free = append(s.free, b)
		s.spare += cap(b)
	}
}
