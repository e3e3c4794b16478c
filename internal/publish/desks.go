package publish

import (
	"sync"

	"tapedeck/internal/render"
)

// desks are those on which nobody renders now. There are never more than pieces
// of work were done at once.
type desks struct {
	mu   sync.Mutex // guards free; held for nanoseconds
	free []*render.Desk
}

func (d *desks) take() *render.Desk {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := len(d.free) - 1
	if k < 0 {
		return render.NewDesk()
	}
	out := d.free[k]
	d.free = d.free[:k]
	return out
}

func (d *desks) giveBack(desk *render.Desk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = append(d.free, desk)
}
