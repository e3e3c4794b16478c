package recorder

import "time"

// togetherFrom is how many journals are made safe by one call for the whole file
// system. It costs the processor less than an fsync for each.
const togetherFrom = 8

const (
	// tooSlow is how long that call may take without a look at the other way.
	tooSlow = 700 * time.Millisecond
	// restsFor is how long the other way is gone when it is the faster one.
	restsFor = time.Minute
	// worth is how many times faster the other way has to be, for it is more work.
	worth = 2
	// forgets is the part of what the other way took that is forgotten with each call: what
	// was slow at one time is tried again later.
	forgets = 32
)

// grouping decides whether many journals are made safe by one call, or each by itself. The
// call also waits for what others write to the same file system. Slowness alone says
// nothing: on a processor that has too much to do both are slow, and the call is less work.
type grouping struct {
	rests    time.Duration // until then each by itself
	together time.Duration // how long the call took last
	alone    time.Duration // how long each by itself took last, all of them; 0 = not known
}

// one says whether so many journals are for one call.
func (g *grouping) one(now time.Duration, journals int) bool {
	return journals >= togetherFrom && g.rests <= now
}

// tookTogether learns how long the call took.
func (g *grouping) tookTogether(now, took time.Duration) {
	g.together = took
	g.alone -= g.alone / forgets
	if took > tooSlow && took > worth*g.alone {
		g.rests = now + restsFor
	}
}

// tookAlone learns how long it took to fsync so many journals by themselves.
func (g *grouping) tookAlone(took time.Duration, journals int) {
	if journals < togetherFrom {
		return
	}
	g.alone = took
	if worth*took >= g.together {
		g.rests = 0
	}
}
