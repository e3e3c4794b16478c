package sip

import "sync"

// gate counts the goroutines of dialogs, so that Run can wait for them: a WaitGroup
// must not be added to while it is waited for, a gate may be tried at any time.
type gate struct {
	mu   sync.Mutex
	n    int
	shut bool
	idle chan struct{} // made by close, closed by the last to leave
}

// enter reports whether the goroutine may start; then it must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// close lets nobody in any more and waits until all have left.
func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	var idle chan struct{}
	if g.n > 0 {
		idle = make(chan struct{})
		g.idle = idle
	}
	g.mu.Unlock()
	if idle != nil {
		<-idle
	}
}
