package plc

import "math"

// maxOrder is the most coefficients of the linear prediction.
const maxOrder = 32

// channel is one channel of a stream.
type channel struct {
	history  []int16   // the last samples, newest last
	recent   []float32 // room for the history while it is looked at
	residual []float32 // room for source.residual
	small    []float32 // room for the history at a lower rate
	window   []float32 // over the end of the history
	windowed []float32 // room for it
	heard    bool
	next     source
}

func newChannel(rate int) channel {
	n := rate * historyMs / millisec
	return channel{
		history:  make([]int16, n),
		recent:   make([]float32, n),
		residual: make([]float32, n),
		small:    make([]float32, n/decimation(rate)),
		window:   hamming(rate * windowMs / millisec),
		windowed: make([]float32, rate*windowMs/millisec),
	}
}

func (c *channel) reset() {
	clear(c.history)
	c.heard = false
	c.next = source{}
}

// keep appends a frame to the history.
func (c *channel) keep(pcm []int16, stride int) {
	n := (len(pcm) + stride - 1) / stride
	if n == 0 {
		return
	}
	c.heard = true
	if skip := n - len(c.history); skip > 0 {
		pcm, n = pcm[skip*stride:], len(c.history)
	}
	copy(c.history, c.history[n:])
	tail := c.history[len(c.history)-n:]
	if stride == 1 {
		copy(tail, pcm)
		return
	}
	for i := range tail {
		tail[i] = pcm[i*stride]
	}
}

// blend lets the first n samples of pcm come out of what was made up.
func (c *channel) blend(pcm []int16, stride, n int) {
	for i := range n {
		share := (float32(i) + 0.5) / float32(n)
		old := c.next.sample()
		pcm[i*stride] = round(old + share*(float32(pcm[i*stride])-old))
	}
}

// analyse makes ready to go on after the history.
func (c *channel) analyse(rate int) {
	c.next = source{}
	if !c.heard {
		return
	}
	s := &c.next
	s.order = min(12+rate/2000, maxOrder)
	for i, v := range c.history {
		c.recent[i] = float32(v)
	}
	last := func(ms int) []float32 { return c.recent[len(c.recent)-rate*ms/millisec:] }
	for i, v := range last(windowMs) {
		c.windowed[i] = c.window[i] * v
	}
	if !predict(c.windowed, s.weight[:s.order]) {
		return // silence goes on as silence
	}
	copy(s.past[:], c.recent[len(c.recent)-s.order:])

	period, likeness := c.pitch(rate)
	s.period, s.periods = period, min(3, (len(c.recent)-s.order)/period)
	short := rate * 10 / millisec
	s.residual = c.residual[:max(s.period*s.periods, short)]
	begin := len(c.recent) - len(s.residual)
	for i := range s.residual {
		s.residual[i] = c.recent[begin+i] - s.expect(c.recent[begin+i-s.order:begin+i])
	}
	voiced := min(max((likeness-0.3)/0.4, 0), 1)
	s.voiced = float32(voiced)
	tail := s.residual[len(s.residual)-short:]
	noise := float64(dot(tail, tail)) / float64(short)
	s.noise = float32(math.Sqrt(3 * noise * (1 - voiced*voiced))) // uniform in ±a has a power of a²/3
	for _, v := range last(20) {
		s.peak = max(s.peak, v, -v)
	}
	s.gain, s.hold = 1, rate/holdFor
	s.fade = 1 / float32(rate*longest/millisec-s.hold)
	s.random = 1
}

// source makes what follows, sample by sample.
type source struct {
	weight   [maxOrder]float32 // of the prediction: oldest sample first
	past     [maxOrder]float32 // the last samples, oldest first
	order    int
	residual []float32 // of the history, newest last
	period   int       // samples of the pitch
	periods  int       // of the residual that are used
	back     int       // which of them is playing, 0 is the last
	turn     int       // how many have been played
	at       int       // place in it
	voiced   float32   // part of the residual that is periodic
	noise    float32   // amplitude of the other part
	peak     float32   // of the history
	gain     float32
	hold     int     // samples until it fades
	fade     float32 // then the gain falls by so much per sample
	random   uint32
}

// fill makes samples; silence when there is nothing to go on from.
func (s *source) fill(dst []int16, stride int) {
	for i := 0; i < len(dst); i += stride {
		dst[i] = round(s.sample())
	}
}

func (s *source) sample() float32 {
	if s.gain <= 0 {
		return 0
	}
	s.random = s.random*1664525 + 1013904223
	excitation := s.voiced*s.residual[len(s.residual)-(s.back+1)*s.period+s.at] +
		s.noise*float32(int32(s.random))/(1<<31)
	v := excitation + s.expect(s.past[:s.order])
	v = min(max(v, -1.25*s.peak), 1.25*s.peak) // whatever the filter rings
	copy(s.past[:s.order-1], s.past[1:s.order])
	s.past[s.order-1] = v
	if s.at++; s.at == s.period {
		s.at = 0
		s.turn++
		s.back = turns[s.turn%len(turns)] % s.periods
	}
	v *= s.gain
	if s.hold--; s.hold < 0 {
		s.gain -= s.fade
	}
	return v
}

// turns is the order in which the last periods are played: one alone, repeated
// for long, sounds like a machine (G.711 Appendix I, I.2.6).
var turns = [...]int{0, 0, 1, 0, 2, 1} //nolint:gochecknoglobals // a table

// expect predicts the sample after these.
func (s *source) expect(past []float32) float32 { return dot(s.weight[:s.order], past) }

func round(v float32) int16 {
	return int16(math.Round(float64(min(max(v, math.MinInt16), math.MaxInt16))))
}
