package plc

// Times, as so many parts of a second.
const (
	holdFor   = 100 // concealment stays as loud as what was before for 10 ms
	longest   = 60  // then fades to silence by 60 ms, in units of 1 ms
	millisec  = 1000
	overlap   = 2.5 // least overlap with the frame after a loss, ms
	longLap   = 5   // most, ms: what was heard counts more than what was made up
	lapShare  = 0.1 // of the length of the loss, in between
	historyMs = 40  // what is looked at
	windowMs  = 30  // of that, for the prediction
)

// Concealer follows one stream.
type Concealer struct {
	rate     int
	channels []channel
	lost     int // frames of concealment in a row, in samples of a channel
}

// New makes a concealer for interleaved PCM of a sample rate in Hz. Rates under 1
// kHz and over 192 kHz, and more than 255 channels, count as these.
func New(sampleRate, channels int) *Concealer {
	const fastest, most = 192000, 255
	c := &Concealer{
		rate:     min(max(sampleRate, millisec), fastest),
		channels: make([]channel, min(max(channels, 1), most)),
	}
	for i := range c.channels {
		c.channels[i] = newChannel(c.rate)
	}
	return c
}

// Reset forgets what was heard.
func (c *Concealer) Reset() {
	c.lost = 0
	for i := range c.channels {
		c.channels[i].reset()
	}
}

// Good takes the next frame that was decoded. After a loss it changes the first
// milliseconds of it: they come out of what was made up.
func (c *Concealer) Good(pcm []int16) {
	stride := len(c.channels)
	if pcm = pcm[:len(pcm)/stride*stride]; len(pcm) == 0 {
		return
	}
	if c.lost > 0 {
		n := min(c.lap(), len(pcm)/stride)
		for i := range c.channels {
			c.channels[i].blend(pcm[i:], stride, n)
		}
		c.lost = 0
	}
	for i := range c.channels {
		c.channels[i].keep(pcm[i:], stride)
	}
}

// Conceal fills dst with what may have followed.
func (c *Concealer) Conceal(dst []int16) {
	stride := len(c.channels)
	for i := range c.channels {
		ch := &c.channels[i]
		if c.lost == 0 {
			ch.analyse(c.rate)
		}
		ch.next.fill(dst[min(i, len(dst)):], stride)
		ch.keep(dst[min(i, len(dst)):], stride)
	}
	c.lost += len(dst) / stride
}

// lap is how long a frame overlaps what was made up before it.
func (c *Concealer) lap() int {
	lost := float64(c.lost) * millisec / float64(c.rate)
	ms := min(overlap+lapShare*lost, longLap)
	if lost >= longest {
		ms = overlap // out of silence
	}
	return int(ms * float64(c.rate) / millisec)
}
