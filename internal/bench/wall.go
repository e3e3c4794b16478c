package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"tapedeck/internal/callgen"
)

// Wall is what a bare relay loop holds on the same cores, under the same load
// and limits. It is written in Go, as the server is.
type Wall struct {
	Calls int     `json:"calls"`
	Ratio float64 `json:"ratio"` // of the server's calls to these
	Steps []Step  `json:"steps"`
}

// RelayCommand is the command of the program that is the bare relay loop.
const RelayCommand = "bench-relay"

// wall finds what the bare relay holds, beginning where the server ended.
func (r *Result) wall(ctx context.Context, o Options) error {
	if len(o.ServerCores) > 1 {
		r.remark("the bare relay has one thread, so it uses one of the %d cores of the server", len(o.ServerCores))
	}
	if r.Calls > 0 {
		o.From = r.Calls
	}
	o.Most, o.NoRecord = 0, true
	c := climb{o: &o, what: "bare relay, ", try: relayStep}
	if err := c.run(ctx, r); err != nil {
		return err
	}
	w := &Wall{Calls: c.calls, Steps: c.steps}
	if c.calls > 0 {
		w.Ratio = float64(r.Calls) / float64(c.calls)
	}
	r.Wall = w
	return nil
}

// relayStep puts the bare relay under so many calls for a time.
func relayStep(ctx context.Context, o *Options, calls int, hold time.Duration) (s Step, err error) {
	s = Step{Calls: calls, HoldSeconds: hold.Seconds()}
	load, err := callgen.NewWired(calls, hold)
	if err != nil {
		return s, err
	}
	p, far, err := startRelay(ctx, o, load.Addrs())
	if err != nil {
		return s, errors.Join(err, load.Close())
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	m := &meter{pid: p.cmd.Process.Pid, cores: o.ServerCores, loadCores: o.LoadCores}
	defer m.end()
	if m.idle, err = usageOf(m.pid); err != nil {
		return s, errors.Join(err, load.Close())
	}
	report, err := load.Run(ctx, far, m.talking)
	if err = errors.Join(err, m.err); err != nil {
		return s, err
	}
	s.wire(report)
	s.machine(o, m)
	s.judge(o, report)
	return s, nil
}

// relayProcess is the bare relay.
type relayProcess struct {
	cmd *exec.Cmd
	in  interface{ Close() error }
}

func startRelay(ctx context.Context, o *Options, legs [][2]netip.AddrPort) (_ *relayProcess, far [][2]netip.AddrPort, err error) {
	p := &relayProcess{cmd: exec.CommandContext(context.WithoutCancel(ctx), o.Program, RelayCommand)}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := startOn(p.cmd, o.ServerCores); err != nil {
		return nil, nil, fmt.Errorf("start the bare relay: %w", err)
	}
	err = json.NewEncoder(in).Encode(legs)
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(out)).Decode(&far)
	}
	if err == nil && len(far) != len(legs) {
		err = fmt.Errorf("%d calls of %d", len(far), len(legs))
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("the bare relay did not start: %w", err), p.stop())
	}
	return p, far, nil
}

// stop closes the relay's input, at which it ends.
func (p *relayProcess) stop() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }
