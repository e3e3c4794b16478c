package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the result for a person.
func (r *Result) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	p := &printer{w: t}
	p.say("calls\thold s\tloss %%\tp50 ms\tp99 ms\tp99.9 ms\tcpu %%\tfiles cpu %%\tcpu-s/call-min\tµs/packet\tkB/call\tset-up p99 ms\tjournal MB\tfiles after s\tload cpu %%\tstolen %%\tslowed %%\t\n")
	for _, s := range r.Steps {
		p.step(s, "")
	}
	if r.Wall != nil {
		for _, s := range r.Wall.Steps {
			p.step(s, " bare relay")
		}
	}
	if k := r.Soak; k != nil {
		p.step(k.Step, " soak")
	}
	if d := r.Rendering; d != nil {
		for _, s := range append(slices.Clone(d.Without), d.With...) {
			p.step(s, fmt.Sprintf(" %d rendered", s.Renders))
		}
	}
	if len(r.SetUps) > 0 {
		p.say("\ncalls/s\tup\tof\tset-up p50 ms\tp99 ms\tloss %%\tcpu %%\tfiles cpu %%\tcpu ms/call\tfiles\t\n")
	}
	for _, s := range r.SetUps {
		p.say("%g\t%d\t%d\t%.0f\t%.0f\t%.4f\t%.0f\t%.0f\t%.2f\t%d\t\n", s.PerSecond, s.Connected, s.Calls, s.P50, s.P99, 100*s.Loss, 100*s.CPU, 100*s.RenderCPU, s.CPUPerCall, s.Available)
	}
	if p.err == nil {
		p.err = t.Flush()
	}
	p.w = w
	what := "bridged and recorded"
	if !r.Record {
		what = "bridged"
	}
	if k := r.Soak; k != nil {
		p.say("\n%d %s calls at once that come and go, %d in all, for %g s: memory grew by %.1f %%, goroutines by %.1f %%, descriptors by %.1f %% after the first quarter\n",
			k.Calls, what, k.Step.Calls, k.Seconds, 100*k.RSSGrowth, 100*k.GoroutineGrowth, 100*k.DescriptorGrowth)
		for _, why := range k.reasons() {
			p.say("not within the limits: %s\n", why)
		}
		return p.err
	}
	if d := r.Rendering; d != nil {
		p.say("\nat %d %s calls, recordings that are rendered all the time cost %.2f ms one way at the median and %.2f ms at the 99th percentile\n", d.Calls, what, d.P50Delta, d.P99Delta)
		return p.err
	}
	p.say("\n%d %s calls at once on %d core(s) for %g s: %g a core (%s, %s, %s)\n", r.Calls, what, len(r.Machine.ServerCores), r.HoldSeconds,
		r.CallsPerCore, r.Machine.CPU, r.Machine.Kernel, r.Machine.Go)
	if c := r.Compare; c != nil {
		p.say("at %d calls, recording costs %.1f %% CPU a call and %.2f ms at the 99th percentile\n", c.Calls, 100*c.CPUMore, c.P99Delta)
	}
	if r.Wall != nil {
		p.say("a bare relay loop holds %d: the server holds %.2f of that\n", r.Wall.Calls, r.Wall.Ratio)
	}
	for _, s := range r.Steps {
		for _, why := range s.Reasons {
			p.say("%d calls were not held: %s\n", s.Calls, why)
		}
	}
	for _, remark := range r.Remarks {
		p.say("%s\n", remark)
	}
	return p.err
}

// Unmet says why what was measured is not good enough; nil = it is. That steps met a
// limit is an answer, unless it was the first.
func (r *Result) Unmet() error {
	if k := r.Soak; k != nil {
		if why := k.reasons(); len(why) > 0 {
			return fmt.Errorf("not flat, or not within the limits: %s", strings.Join(why, "; "))
		}
	}
	if r.Calls == 0 && len(r.Steps) > 0 {
		return fmt.Errorf("the first step of %d calls was not held", r.Steps[0].Calls)
	}
	return nil
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) say(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) step(s Step, mark string) {
	if !s.Held {
		mark += " not held"
	}
	p.say("%d\t%g\t%.4f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.4f\t%.2f\t%d\t%.0f\t%.1f\t%.1f\t%.0f\t%.1f\t%.0f\t%s\n", s.Calls, s.HoldSeconds, 100*s.Loss, s.P50, s.P99, s.P999,
		100*s.CPU, 100*s.RenderCPU, s.CPUPerMinute, s.CPUPerPacket, s.RSSPerCall/1000, s.SetUpP99, float64(s.JournalBytes)/1e6, s.RenderSeconds, 100*s.LoadCPU, 100*s.Steal, 100*s.Slowed, mark)
}
