package audio

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Clip is a stretch of audio with one channel: a prompt, or what somebody said.
// It is not changed once it was handed on, so that many may read it.
type Clip struct {
	Rate    int // samples a second
	Samples []int16

	mu     sync.Mutex
	others []*Clip      // this one at other rates, as they were asked for
	more   atomic.Int64 // samples of others
}

// Size is how many bytes its samples take, at all rates at which it is kept.
func (c *Clip) Size() int64 { return 2 * (int64(len(c.Samples)) + c.more.Load()) }

// Silence is a clip of so much silence.
func Silence(rate int, d time.Duration) *Clip {
	return &Clip{Rate: rate, Samples: make([]int16, int(math.Round(d.Seconds()*float64(rate))))}
}

// Duration is how long it lasts.
func (c *Clip) Duration() time.Duration {
	if c.Rate <= 0 {
		return 0
	}
	return time.Duration(len(c.Samples)) * time.Second / time.Duration(c.Rate)
}

// At is the clip at another sample rate; itself when it has that rate. The work is
// done once for a rate, and kept as long as the clip.
func (c *Clip) At(rate int) *Clip {
	if rate == c.Rate || c.Rate <= 0 || rate <= 0 {
		return c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.others, func(o *Clip) bool { return o.Rate == rate }); i >= 0 {
		return c.others[i]
	}
	r := NewResampler(c.Rate, rate)
	samples := r.Process(nil, c.Samples)
	o := &Clip{Rate: rate, Samples: r.Flush(samples)}
	c.others = append(c.others, o)
	c.more.Add(int64(len(o.Samples)))
	return o
}
