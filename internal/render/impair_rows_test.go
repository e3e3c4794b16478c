package render

import (
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// impairment is a row of the table.
type impairment struct {
	name   string
	length time.Duration // of the call; 0 = half a minute
	quick  time.Duration // of the call in a quick run; 0 = the same
	codecs []journal.Codec
	do     func(c *call, end time.Duration)
	offset time.Duration // allowed between the channels; 0 = 1 ms
}

// What docs/recording.md promises. A frame is 20 ms, or more where it says so.
const (
	markerLimit = 20 * ms
	lengthLimit = 20 * ms
	together    = 1 * ms
	frame       = 20 * ms
)

// talk is a row in which both parties talk all the time.
func talk(prepare func(c *call, p *phone)) func(*call, time.Duration) {
	return func(c *call, end time.Duration) {
		c.both(func(p *phone) {
			prepare(c, p)
			p.talk(end)
		})
	}
}

// spurts makes both parties talk and be quiet in turns.
func spurts(talk, quiet time.Duration, between func(p *phone)) func(*call, time.Duration) {
	return func(c *call, end time.Duration) {
		c.both(func(p *phone) {
			for p.now < float64(end) {
				p.talk(time.Duration(p.now) + time.Second + time.Duration(p.rnd.Int64N(int64(talk))))
				if between != nil {
					between(p)
				}
				if quiet > 0 {
					p.quiet(time.Duration(p.now) + 60*ms + time.Duration(p.rnd.Int64N(int64(quiet))))
				}
			}
		})
	}
}

// once does something to each party once, while it talks.
func once(do func(p *phone)) func(*call, time.Duration) {
	return func(c *call, end time.Duration) {
		c.both(func(p *phone) {
			p.talk(c.begin + (end-c.begin)/4 + time.Duration(p.rnd.Int64N(int64((end-c.begin)/2))))
			do(p)
			p.talk(end)
		})
	}
}

func jitter(j time.Duration) func(c *call, p *phone) {
	return func(_ *call, p *phone) {
		p.net.jitter, p.net.shape = j, jitterShape(p.rnd.IntN(int(jitterShapes)))
		p.net.ordered = p.net.shape == inSpells && p.rnd.IntN(2) == 0
	}
}

func loss(share, burst float64) func(c *call, p *phone) {
	return func(_ *call, p *phone) { p.net.loss, p.net.burst = share, burst }
}

// scatter is jitter of each packet by itself.
func scatter(j time.Duration) func(c *call, p *phone) {
	return func(_ *call, p *phone) {
		p.net.jitter, p.net.shape = j, jitterShape(p.rnd.IntN(int(inSpells)))
	}
}

// between is a random number of milliseconds.
func (p *phone) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(p.rnd.Int64N(int64(hi-lo)))
}

// impairments are the rows of the table, in its order.
func impairments() []impairment {
	return append(append(lossRows(), clockRows()...), append(jumpRows(), otherRows()...)...)
}

func lossRows() []impairment {
	return []impairment{
		{name: "nothing", do: talk(func(*call, *phone) {})},
		{name: "1 % of the packets lost", do: talk(loss(0.01, 0))},
		{name: "10 % lost", do: talk(loss(0.1, 0))},
		{name: "30 % lost", do: talk(loss(0.3, 0))},
		{name: "30 % lost, six at a time", do: talk(loss(0.3, 6))},
		{name: "15 % lost of one party", do: talk(func(c *call, p *phone) {
			if p == c.left {
				p.net.loss = 0.15
			}
		})},
		{name: "jitter of 50 ms", do: talk(jitter(50 * ms))},
		{name: "jitter of 200 ms", length: 2 * time.Minute, quick: time.Minute, do: talk(jitter(200 * ms))},
		{name: "a tenth overtaken by up to 200 ms", do: talk(func(_ *call, p *phone) { p.net.swap = 0.1 })},
		{name: "a fifth arrives twice", do: talk(func(_ *call, p *phone) { p.net.dup = 0.2 })},
		{name: "30 % lost, jitter of 200 ms, a tenth twice", length: time.Minute, quick: time.Minute, do: talk(func(c *call, p *phone) {
			scatter(200*ms)(c, p)
			p.net.loss, p.net.dup = 0.3, 0.1
		})},
		{name: "no network for 5 s", do: talk(func(c *call, p *phone) {
			from := c.begin + p.between(3*time.Second, 20*time.Second)
			p.net.down = []Span{{from, from + 5*time.Second}}
		})},
		{name: "packets held back for up to 3 s, then all at once", do: talk(func(c *call, p *phone) {
			from := c.begin + p.between(5*time.Second, 20*time.Second)
			p.net.held = []Span{{from, from + p.between(500*ms, 3*time.Second)}}
		})},
		{name: "the first 1 to 3 s arrive all at once", do: talk(func(c *call, p *phone) {
			p.net.held = []Span{{c.begin, c.begin + p.between(time.Second, 3*time.Second)}}
		})},
	}
}

func clockRows() []impairment {
	drift := func(left, right float64) func(c *call, p *phone) {
		return func(c *call, p *phone) {
			if p.ppm = left; p == c.right {
				p.ppm = right
			}
		}
	}
	long := func(more func(c *call, p *phone)) func(*call, time.Duration) {
		return func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				drift(300, -300)(c, p)
				p.every = 8
				more(c, p)
				for p.now < float64(end) {
					p.talk(min(end, time.Duration(p.now)+30*time.Second))
					p.quiet(min(end, time.Duration(p.now)+4*time.Minute+30*time.Second))
				}
			})
		}
	}
	return []impairment{
		{name: "clocks +200 and −200 ppm, a call of 10 s", length: 10 * time.Second, do: talk(drift(200, -200))},
		{name: "clocks +300 and −300 ppm, 10 min", length: 10 * time.Minute, quick: time.Minute, do: talk(func(c *call, p *phone) {
			drift(300, -300)(c, p)
			p.every = 4
		})},
		{name: "clocks up to ±300 ppm, 2 % lost, jitter of 60 ms", length: 5 * time.Minute, quick: time.Minute, offset: markerLimit, do: talk(func(c *call, p *phone) {
			p.ppm, p.net.loss, p.every = 600*p.rnd.Float64()-300, 0.02, 4
			jitter(60*ms)(c, p)
		})},
		{name: "clocks +300 and −300 ppm, 8 h, half a minute of talk every five", length: 8 * time.Hour, quick: 10 * time.Minute, offset: markerLimit, do: long(func(*call, *phone) {})},
		{name: "the same with 5 % lost and delays of up to 100 ms", length: 8 * time.Hour, quick: 10 * time.Minute, offset: markerLimit, do: long(func(c *call, p *phone) {
			p.net.loss = 0.05
			jitter(100*ms)(c, p)
		})},
		{name: "silence suppression (DTX)", length: time.Minute, quick: 30 * time.Second, do: spurts(2*time.Second, 3*time.Second, nil)},
		{name: "DTX with loss and jitter", length: time.Minute, quick: 30 * time.Second, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				jitter(80*ms)(c, p)
				p.net.loss = 0.05
			})
			spurts(2*time.Second, 3*time.Second, nil)(c, end)
		}},
		{name: "DTX for 45 min", length: 45 * time.Minute, quick: 2 * time.Minute, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) { p.every = 8 })
			spurts(4*time.Second, 6*time.Second, nil)(c, end)
		}},
		{name: "mute for up to 25 s", length: time.Minute, quick: 30 * time.Second, do: once(func(p *phone) {
			p.quiet(time.Duration(p.now) + p.between(5*time.Second, 25*time.Second))
		})},
		{name: "hold for 4 h", length: 4*time.Hour + time.Minute, quick: 5 * time.Minute, do: hold(false)},
		{name: "hold for 4 h with a frozen RTP clock", length: 4*time.Hour + time.Minute, quick: 5 * time.Minute, offset: frame, do: hold(true)},
	}
}

// hold makes a call of which all but a minute is a hold.
func hold(frozen bool) func(*call, time.Duration) {
	return func(c *call, end time.Duration) {
		from, to := c.begin+30*time.Second, end-30*time.Second
		c.both(func(p *phone) {
			p.talk(from)
			if frozen {
				p.stall(to - from)
			} else {
				p.quiet(to)
			}
			p.talk(end)
		})
	}
}

func jumpRows() []impairment {
	stall := func(lo, hi time.Duration) func(p *phone) {
		return func(p *phone) { p.stall(p.between(lo, hi)) }
	}
	return []impairment{
		{name: "the sender stands still for 40 to 250 ms", length: time.Minute, quick: 30 * time.Second, offset: frame, do: once(stall(40*ms, 250*ms))},
		{name: "the sender stands still for 0.25 to 5 s", length: time.Minute, quick: 30 * time.Second, offset: frame, do: once(stall(250*ms, 5*time.Second))},
		{name: "the sender stands still for 244 s", length: 6 * time.Minute, quick: 6 * time.Minute, offset: frame, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				p.every = 2
				p.talk(c.begin + 40*time.Second)
				p.stall(244 * time.Second)
				p.talk(end)
			})
		}},
		{name: "the sender stands still again and again, with jitter of 40 ms", length: 2 * time.Minute, quick: time.Minute, offset: frame, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				scatter(40*ms)(c, p)
				for p.now < float64(end) {
					p.talk(time.Duration(p.now) + p.between(8*time.Second, 20*time.Second))
					if p.now+8e9 < float64(end) {
						p.stall(p.between(100*ms, 3*time.Second))
					}
				}
			})
		}},
		{name: "the sender stands still for up to 250 ms, with sender reports, jitter of 100 ms", length: time.Minute, quick: time.Minute, offset: frame, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				p.reports = true
				scatter(100*ms)(c, p)
			})
			once(stall(60*ms, 250*ms))(c, end)
		}},
		{name: "RTP time jumps", offset: frame, do: once(func(p *phone) { p.jump(p.rnd.Uint32(), 0) })},
		{name: "sequence numbers jump", offset: frame, do: once(func(p *phone) { p.jump(0, uint16(p.rnd.Uint32())) })},
		{name: "both jump, with jitter of 60 ms", offset: frame, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) { scatter(60*ms)(c, p) })
			once(func(p *phone) { p.jump(p.rnd.Uint32(), uint16(p.rnd.Uint32())) })(c, end)
		}},
		{name: "sequence numbers and RTP time wrap", do: talk(func(_ *call, p *phone) {
			p.seq, p.time = uint16(65536-p.rnd.IntN(600)), -uint32(160*(600+p.rnd.IntN(600)))
			p.net.jitter, p.net.loss = 40*ms, 0.05
		})},
		{name: "a new SSRC", offset: frame, do: once((*phone).renew)},
		{name: "a new SSRC every few seconds, with loss and jitter", length: time.Minute, quick: 30 * time.Second, offset: frame, do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				scatter(60*ms)(c, p)
				p.net.loss = 0.02
			})
			spurts(6*time.Second, 0, (*phone).renew)(c, end)
		}},
		{name: "a new SSRC after a hold", length: time.Minute, quick: 30 * time.Second, offset: frame, do: once(func(p *phone) {
			p.quiet(time.Duration(p.now) + p.between(time.Second, 20*time.Second))
			p.renew()
		})},
		{name: "stray packets of an old call", do: talk(func(c *call, p *phone) { p.strays(2) })},
	}
}

// strays puts single packets of other calls among the party's.
func (p *phone) strays(n int) {
	for range n {
		pcm := make([]byte, 160)
		for i := range pcm {
			pcm[i] = byte(p.rnd.Uint32())
		}
		p.arrivals = append(p.arrivals, arrival{
			at:     float64(p.call.begin) + p.rnd.Float64()*float64(p.call.stop-p.call.begin),
			packet: journal.Packet{Seq: uint16(p.rnd.Uint32()), Time: p.rnd.Uint32(), SSRC: p.rnd.Uint32(), Payload: pcm},
		})
	}
}

func otherRows() []impairment {
	swap := func(names ...string) func(p *phone) {
		return func(p *phone) { p.use(names[p.rnd.IntN(len(names))], 0) }
	}
	return []impairment{
		{name: "codec changes, PCMU and PCMA", do: spurts(3*time.Second, 0, swap(codec.PCMU, codec.PCMA))},
		{name: "codec changes, PCMU, PCMA, G.722 and L16 of 16 kHz", codecs: wide(), do: spurts(3*time.Second, 0, func(p *phone) {
			of := []string{codec.PCMU, codec.PCMA, codec.G722, codec.L16}[p.rnd.IntN(4)]
			p.use(of, map[string]int{codec.L16: 16000}[of])
			p.tear()
		})},
		{name: "PCMA on one side, G.722 on the other", codecs: wide(), do: talk(func(c *call, p *phone) {
			if p.use(codec.PCMA, 0); p == c.right {
				p.use(codec.G722, 0)
			}
		})},
		{name: "packet time changes, 10 to 60 ms", do: spurts(3*time.Second, 0, func(p *phone) {
			p.ptime = time.Duration(10+10*p.rnd.IntN(6)) * ms
		})},
		{name: "a payload type gets another meaning", do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				at := c.begin + 12*time.Second
				p.talk(at)
				table := known()
				table[0].Name, table[1].Name = codec.PCMA, codec.PCMU
				track := uint16(p.id - 2)
				c.control(at, journal.Entry{Kind: journal.KindTrackChanged, Track: track, Detail: journal.Detail{Codecs: table}})
				p.use(codec.PCMA, 0)
				p.codec.PT = 0
				p.talk(end)
			})
		}},
		{name: "both start together; jitter of 20 and 60 ms, packets of 20 and 30 ms", do: talk(func(c *call, p *phone) {
			p.net.jitter = 20 * ms
			if p == c.right {
				p.net.jitter, p.ptime = 60*ms, 30*ms
			}
		})},
		{name: "stopped with the last word, jitter of 60 ms", do: func(c *call, end time.Duration) {
			c.both(func(p *phone) {
				p.net.jitter = 60 * ms
				p.talk(end)
			})
			// The stop comes as soon as the packets of the last marks have.
			c.stop = 0
			c.both(func(p *phone) { c.stop = max(c.stop, time.Duration(p.marks[len(p.marks)-2].word)+1) })
		}},
		{name: "no packets at all", do: func(c *call, _ time.Duration) { c.cause = voice.EndNoMedia }},
		{name: "much at once", length: 2 * time.Minute, quick: time.Minute, offset: markerLimit, do: much},
	}
}

// much is a call to which much happens.
func much(c *call, end time.Duration) {
	c.both(func(p *phone) {
		scatter(p.between(1, 120*ms))(c, p)
		p.net.loss, p.net.dup, p.net.swap = 0.1*p.rnd.Float64(), 0.1*p.rnd.Float64(), 0.05*p.rnd.Float64()
		p.ppm = 400*p.rnd.Float64() - 200
		p.reports = p.rnd.IntN(2) == 0
		for {
			p.talk(time.Duration(p.now) + p.between(8*time.Second, 20*time.Second))
			if p.now+8e9 > float64(end) {
				break // of what comes now, too little would be heard to place it
			}
			switch p.rnd.IntN(7) {
			case 0:
				p.quiet(time.Duration(p.now) + p.between(100*ms, 8*time.Second))
			case 1:
				p.stall(p.between(300*ms, 3*time.Second))
			case 2:
				p.jump(p.rnd.Uint32(), uint16(p.rnd.Uint32()))
			case 3:
				p.renew()
			case 4:
				p.use(codec.PCMA, 0)
			case 5:
				p.use(codec.PCMU, 0)
			case 6:
				p.ptime = time.Duration(10+10*p.rnd.IntN(6)) * ms
			}
		}
	})
}
