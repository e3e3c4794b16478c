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
	setUpTalk = time.Second     // with all of them up
)

// SetUp is what making calls at a rate showed. Times are in milliseconds.
type SetUp struct {
	PerSecond float64 `json:"perSecond"`
	Calls     int     `json:"calls"`
	Connected int     `json:"connected"`
	P50       float64 `json:"setUpP50Ms"` // INVITE until both sides heard each other
	P99       float64 `json:"setUpP99Ms"`
	Loss      float64 `json:"loss"` // of the frames of those that were up, while all were
	CPU       float64 `json:"cpu"`  // of the server's cores, until all were up and had talked
}

// setUp makes calls at a rate for a few seconds, each with its recording.
func setUp(ctx context.Context, o *Options, rate float64) (s SetUp, err error) {
	p, err := start(ctx, o, o.data(fmt.Sprintf("rate-%g", rate)))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s = SetUp{PerSecond: rate, Calls: max(1, int(rate*setUpFor.Seconds()))}
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: s.Calls, Talk: setUpTalk, PerSecond: rate,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
	})
	if err != nil {
		return s, err
	}
	if err := p.inline(ctx, load.Callees().String(), !o.NoRecord); err != nil {
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
	s.CPU = (after.cpu - before.cpu).Seconds() / time.Since(begun).Seconds() / float64(len(o.ServerCores))
	s.Connected = r.Connected
	s.P50, s.P99 = ms(r.SetUp.Quantile(0.5)), ms(r.SetUp.Quantile(0.99))
	if r.Sent > 0 {
		s.Loss = float64(r.Lost) / float64(r.Sent)
	}
	return s, nil
}

// String is a line for a person.
func (s SetUp) String() string {
	return fmt.Sprintf("%g calls a second: %d of %d up, set-up p50 %.0f p99 %.0f ms, loss %.4f %%, cpu %.0f %%",
		s.PerSecond, s.Connected, s.Calls, s.P50, s.P99, 100*s.Loss, 100*s.CPU)
}
