package media

// A packet needs some fifteen places of memory that no cache holds any more (see live),
// and would wait for one after the other. Those of the packets that came together are
// asked for before the first of them is served: the processor then waits for all of them
// at once. What is read means nothing, and goes into worker.touched only because
// the compiler leaves out what nobody needs.

// soon asks for what the next packet of each port needs.
func (w *worker) soon(ports []*port) {
	legs := w.coming[:0]
	for _, p := range ports[:min(len(ports), len(w.coming))] {
		if p.leg != nil { // else it is one that legs share: they are not known yet
			legs = append(legs, p.leg)
		}
	}
	w.fetch(legs)
}

// soonShared does so for the owners of a batch. Of legs of other workers only these may
// read.
func (w *worker) soonShared(of []owner) {
	legs := w.coming[:0]
	for i := range of {
		if m := of[i].member; m != nil && m.leg.worker.Load() == w {
			legs = append(legs, m.leg)
		}
	}
	w.fetch(legs)
}

func (w *worker) fetch(legs []*Leg) {
	if len(legs) < 2 { // nothing that could be waited for together
		return
	}
	sum := uint64(0)
	for _, l := range legs {
		sum += uint64(l.heard) + l.in.Touch()
		if l.configured {
			sum++
		}
	}
	// These are found by what the first ones say, so they come second.
	for _, l := range legs {
		if t := l.taps.tap; t != nil {
			sum += t.Touch()
		}
		if to := l.peer; to != nil {
			sum += to.out.Packets() + to.in.TouchTarget()
			if to.sends {
				sum++
			}
		}
	}
	w.touched += sum
}
