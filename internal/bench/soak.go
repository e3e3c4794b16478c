package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/callgen"
)

// Soak is what a long time with calls that come and go showed. Growths are by
// how much something grew from the end of the first quarter to the end, on a line
// through all that was seen then, as a share of its mean.
type Soak struct {
	Calls            int      `json:"calls"` // at once
	Seconds          float64  `json:"seconds"`
	Step             Step     `json:"step"` // calls in it is how many were made in all
	Samples          []Sample `json:"samples"`
	RSSGrowth        float64  `json:"rssGrowth"`
	GoroutineGrowth  float64  `json:"goroutineGrowth"`
	DescriptorGrowth float64  `json:"descriptorGrowth"`
	Flat             bool     `json:"flat"` // nothing grew by more than 5 %
}

// Sample is what the server had at a time.
type Sample struct {
	Seconds     float64 `json:"seconds"` // since all calls were up
	RSS         int64   `json:"rssBytes"`
	Goroutines  int     `json:"goroutines"`
	Descriptors int     `json:"descriptors"`
}

const (
	soakEvery   = 5 * time.Second
	soakLasting = 30 * time.Second // a call, on the average
	soakGrowth  = 0.05
)

// soak keeps so many calls up for a long time, each of them for a while.
func soak(ctx context.Context, o Options) (k *Soak, err error) {
	p, err := start(ctx, &o, o.data("soak"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	k = &Soak{Calls: o.From, Seconds: o.Soak.Seconds()}
	m := &meter{pid: p.cmd.Process.Pid, cores: o.ServerCores, loadCores: o.LoadCores, http: p.HTTP}
	defer m.end()
	if m.idle, err = usageOf(m.pid); err != nil {
		return nil, err
	}
	began := make(chan time.Time, 1) // sent to once, when all calls are up
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: o.From, Talk: o.Soak, PerSecond: o.PerSecond, Lasting: soakLasting,
		Talking: func(on bool) {
			m.talking(on)
			if on {
				began <- time.Now()
			}
		},
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
	})
	if err != nil {
		return nil, err
	}
	if err := p.inline(ctx, anyNumber, load.Callees().String(), !o.NoRecord); err != nil {
		return nil, errors.Join(err, load.Close())
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1) // sent to once, when the watch has ended
	go func() { watched <- k.watch(watching, &o, m, began) }()
	report, err := load.Run(ctx)
	stop()
	if err = errors.Join(err, <-watched, m.err); err != nil {
		return nil, errors.Join(err, p.said())
	}
	k.Step = Step{Calls: report.Calls, HoldSeconds: k.Seconds}
	k.Step.Connected = k.Calls // at once: what is used is told for one of these
	k.Step.machine(&o, m)
	k.Step.wire(report)
	k.Step.CPUPerPacket = 0 // frames are counted before all calls are up, too
	o.NoRecord = true       // the files are not read here
	k.Step.judge(&o, report)
	k.judge()
	return k, nil
}

// watch takes a sample every few seconds.
func (k *Soak) watch(ctx context.Context, o *Options, m *meter, began <-chan time.Time) error {
	var from time.Time
	select {
	case from = <-began:
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(soakEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		at := time.Since(from)
		if at > o.Soak {
			continue // the calls end
		}
		now, err := sizesOf(ctx, m.pid, m.http)
		if err != nil && ctx.Err() == nil {
			return err
		}
		k.Samples = append(k.Samples, Sample{at.Seconds(), now.rss, now.goroutines, now.descriptors})
		o.Report(fmt.Sprintf("%.0f s: %.1f MB, %d goroutines, %d descriptors", at.Seconds(), float64(now.rss)/1e6, now.goroutines, now.descriptors))
	}
}

func (k *Soak) judge() {
	warm := k.Samples[len(k.Samples)/4:]
	k.RSSGrowth = growth(warm, func(s Sample) float64 { return float64(s.RSS) })
	k.GoroutineGrowth = growth(warm, func(s Sample) float64 { return float64(s.Goroutines) })
	k.DescriptorGrowth = growth(warm, func(s Sample) float64 { return float64(s.Descriptors) })
	k.Flat = len(warm) > 2 && max(k.RSSGrowth, k.GoroutineGrowth, k.DescriptorGrowth) <= soakGrowth
}

// reasons are why it was not as it should be.
func (k *Soak) reasons() (out []string) {
	for _, g := range []struct {
		what string
		by   float64
	}{{"memory", k.RSSGrowth}, {"goroutines", k.GoroutineGrowth}, {"descriptors", k.DescriptorGrowth}} {
		if g.by > soakGrowth {
			out = append(out, fmt.Sprintf("%s grew by %.1f %%", g.what, 100*g.by))
		}
	}
	if !k.Flat && len(out) == 0 {
		out = append(out, fmt.Sprintf("%d looks at the server are too few to tell", len(k.Samples)))
	}
	return append(out, k.Step.Reasons...)
}

// growth is by how much the line of least squares rises over the samples, as a
// share of their mean.
func growth(all []Sample, of func(Sample) float64) float64 {
	if len(all) < 2 {
		return 0
	}
	var x, y, xx, xy float64
	for _, s := range all {
		x += s.Seconds
		y += of(s)
	}
	n := float64(len(all))
	x, y = x/n, y/n
	for _, s := range all {
		xx += (s.Seconds - x) * (s.Seconds - x)
		xy += (s.Seconds - x) * (of(s) - y)
	}
	if xx == 0 || y == 0 {
		return 0
	}
	return xy / xx * (all[len(all)-1].Seconds - all[0].Seconds) / y
}

// Compare is what recording costs, at half of what is held.
type Compare struct {
	Calls    int     `json:"calls"`
	With     []Step  `json:"with"`
	Without  []Step  `json:"without"`
	CPUMore  float64 `json:"cpuMore"`    // of a call, with recording, as a share of that without
	P99Delta float64 `json:"p99DeltaMs"` // with recording, less that without
}

// compare measures with and without recording, in an order in which what slowly
// changes in the machine is in both.
func compare(ctx context.Context, o Options, calls int) (*Compare, error) {
	c := &Compare{Calls: calls}
	for _, record := range []bool{true, false, false, true} {
		o.NoRecord = !record
		s, err := step(ctx, &o, calls, o.Climb)
		if err != nil {
			return nil, fmt.Errorf("bench: compare at %d calls: %w", calls, err)
		}
		o.Report(fmt.Sprintf("recording %t, %s", record, s))
		if record {
			c.With = append(c.With, s)
		} else {
			c.Without = append(c.Without, s)
		}
	}
	with, without := c.With, c.Without
	if off := without[0].CPUPerMinute + without[1].CPUPerMinute; off > 0 {
		c.CPUMore = (with[0].CPUPerMinute+with[1].CPUPerMinute)/off - 1
	}
	c.P99Delta = (with[0].P99 + with[1].P99 - without[0].P99 - without[1].P99) / 2
	return c, nil
}
