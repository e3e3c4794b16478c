package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/callgen"
)

const (
	setUpFor  = 5 * time.Second // how long calls are made at a rate
	setUpEach = time.Second     // how long each of them talks: as many are up as come in this time
)

// SetUp is what making calls at a rate showed. Times are in milliseconds.
type SetUp struct {
	PerSecond  float64 `json:"perSecond"`
	Calls      int     `json:"calls"`
	Connected  int     `json:"connected"`
	Broken     int     `json:"broken"`     // that ended by themselves
	P50        float64 `json:"setUpP50Ms"` // INVITE until both sides heard each other
	P99        float64 `json:"setUpP99Ms"`
	Loss       float64 `json:"loss"`         // of the frames of calls that were up
	CPU        float64 `json:"cpu"`          // of the server's cores, until the last call was hung up
	RenderCPU  float64 `json:"renderCpu"`    // likewise, by the processes that make files
	CPUPerCall float64 `json:"cpuPerCallMs"` // of all that a call was, until its file was made
	Available  int     `json:"recordings"`   // files that were made
}

// setUp makes calls at a rate for a few seconds, each with its recording. Each of
// them talks for a while and is hung up, so that no more are up at once than come in
// that time: what is measured is the rate, not how many calls a core holds.
func setUp(ctx context.Context, o *Options, rate float64) (s SetUp, err error) {
	p, err := start(ctx, o, o.data(fmt.Sprintf("rate-%g", rate)))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s = SetUp{PerSecond: rate, Calls: max(1, int(rate*setUpFor.Seconds()))}
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: s.Calls, Each: setUpEach, PerSecond: rate,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
	})
	if err != nil {
		return s, err
	}
	if err := p.inline(ctx, anyNumber, load.Callees().String(), !o.NoRecord); err != nil {
		return s, errors.Join(err, load.Close())
	}
	pid, begun := p.cmd.Process.Pid, time.Now()
	before, err := usageOf(pid)
	if err != nil {
		return s, errors.Join(err, load.Close())
	}
	r, err := load.Run(ctx)
	if err != nil {
		return s, errors.Join(err, p.said())
	}
	after, err := usageOf(pid)
	if err != nil {
		return s, err
	}
	took := time.Since(begun).Seconds() * float64(len(o.ServerCores))
	s.RenderCPU = (after.others - before.others).Seconds() / took
	s.CPU = (after.cpu - before.cpu).Seconds() / took
	s.Connected, s.Broken = r.Connected, r.Broken
	s.P50, s.P99 = ms(r.SetUp.Quantile(0.5)), ms(r.SetUp.Quantile(0.99))
	if r.Sent > 0 {
		s.Loss = float64(r.Lost) / float64(r.Sent)
	}
	if !o.NoRecord {
		made := Step{Connected: s.Connected, Sent: r.Sent}
		if _, err := p.finished(ctx, &made); err != nil {
			return s, errors.Join(err, p.said())
		}
		s.Available = made.Available
		if after, err = usageOf(pid); err != nil {
			return s, err
		}
	}
	if s.Connected > 0 {
		s.CPUPerCall = ms(after.cpu+after.others-before.cpu-before.others) / float64(s.Connected)
	}
	return s, nil
}

// String is a line for a person.
func (s SetUp) String() string {
	return fmt.Sprintf("%g calls a second: %d of %d up, %d broken, set-up p50 %.0f p99 %.0f ms, loss %.4f %%, cpu %.0f %% (files %.0f %%), %.2f ms a call, %d files",
		s.PerSecond, s.Connected, s.Calls, s.Broken, s.P50, s.P99, 100*s.Loss, 100*s.CPU, 100*s.RenderCPU, s.CPUPerCall, s.Available)
}
