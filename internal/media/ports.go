package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// ports hands out pairs of UDP ports: an even one for RTP and the next for RTCP
// (RFC 3550 §11). A pair that comes back rests for the cool-down, so that packets
// of an ended call do not reach the next one. Its mutex is a leaf.
type ports struct {
	from, to int
	cooldown time.Duration

	mu   sync.Mutex
	rest []resting // ring of all free pairs, longest resting first
	head int
	n    int
}

// resting is a free pair, named by its even port.
type resting struct {
	port  int
	since time.Duration
}

func newPorts(from, to int, cooldown, now time.Duration) (*ports, error) {
	first := from + from%2
	pairs := (to - first + 1) / 2
	if from < 1 || to > 65535 || pairs < 1 {
		return nil, fmt.Errorf("media: RTP ports %d-%d hold no pair of an even port and the next: give a range within 1-65535", from, to)
	}
	p := &ports{from: from, to: to, cooldown: cooldown, rest: make([]resting, pairs), n: pairs}
	// In random order: the next port of a call should not be easy to guess.
	for i, k := range rand.Perm(pairs) {
		p.rest[i] = resting{port: first + 2*k, since: now - cooldown}
	}
	return p, nil
}

// take hands out the pair that has rested longest.
func (p *ports) take(now time.Duration) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return 0, fmt.Errorf("%w: all %d pairs of %d-%d are in use", ErrNoPorts, len(p.rest), p.from, p.to)
	}
	r := p.rest[p.head]
	if now-r.since < p.cooldown {
		return 0, fmt.Errorf("%w: the free ones of %d-%d were in use less than %s ago", ErrNoPorts, p.from, p.to, p.cooldown)
	}
	p.head = (p.head + 1) % len(p.rest)
	p.n--
	return r.port, nil
}

// put takes a pair back.
func (p *ports) put(port int, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest[(p.head+p.n)%len(p.rest)] = resting{port: port, since: now}
	p.n++
}

// bind opens both sockets of a free pair, for a leg or for legs to share. A pair that
// another program uses is put back, to be tried again later.
func (e *Engine) bind(shared bool) (media, control port, err error) {
	for range len(e.ports.rest) {
		number, err := e.ports.take(e.now())
		if err != nil {
			return port{}, port{}, err
		}
		media, control, err = e.bindPair(number, shared)
		if err == nil {
			return media, control, nil
		}
		e.ports.put(number, e.now())
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return port{}, port{}, err
		}
	}
	return port{}, port{}, fmt.Errorf("%w: other programs use all of %d-%d", ErrNoPorts, e.ports.from, e.ports.to)
}

func (e *Engine) bindPair(number int, shared bool) (media, control port, err error) {
	forRTP, forRTCP := mediaBuffer, controlBuffer
	if shared {
		forRTP, forRTCP = sharedBuffer, sharedBuffer
	}
	m, err := e.network.listen(e.bindAddr(number), forRTP)
	if err != nil {
		return port{}, port{}, fmt.Errorf("open the RTP port: %w", err)
	}
	c, err := e.network.listen(e.bindAddr(number+1), forRTCP)
	if err != nil {
		return port{}, port{}, errors.Join(fmt.Errorf("open the RTCP port: %w", err), m.close())
	}
	return port{socket: m, number: number}, port{socket: c, number: number + 1, control: true}, nil
}
