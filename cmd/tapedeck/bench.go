package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tapedeck/internal/bench"
)

// benchCmd finds the capacity of the machine.
type benchCmd struct {
	From        int           `help:"Calls of the first step." default:"200" placeholder:"N"`
	Step        int           `help:"By how many calls a step is larger." default:"200" placeholder:"N"`
	Most        int           `help:"Calls of the last step; 0 goes on until a limit is met." default:"0" placeholder:"N"`
	Fine        int           `help:"How close the answer has to be; 0 = as close as the step." default:"0" placeholder:"N"`
	Hold        time.Duration `help:"How long all calls talk for a number to count as the answer." default:"60s"`
	Climb       time.Duration `help:"How long they talk in the steps on the way to it." default:"15s"`
	Tries       int           `help:"How often a step is tried until it is held." default:"2" placeholder:"N"`
	PerSecond   float64       `help:"Calls made in a second, in steps." default:"30" placeholder:"RATE"`
	Wall        bool          `help:"Say what a bare relay loop holds, too."`
	Compare     bool          `help:"Say what recording costs, at half of what is held."`
	Soak        time.Duration `help:"In place of steps: this long with --from calls at once that come and go." default:"0s"`
	RenderLoad  int           `help:"In place of steps: what rendering recordings all the time does to so many calls." default:"0" placeholder:"N"`
	NoRecord    bool          `help:"Bridge without recording, to see what recording costs."`
	Sample      int           `help:"Recordings of a step that are read frame by frame; -1 = all." default:"20" placeholder:"N"`
	Rates       []float64     `help:"Set-up rates to try after the steps, in calls a second." placeholder:"RATE,..."`
	ServerCores []int         `help:"Cores of the server." default:"0" placeholder:"N,..."`
	LoadCores   []int         `help:"Cores of the load (default: all others)." placeholder:"N,..."`
	Dir         string        `help:"Where the server's data lies meanwhile (default: the temporary directory)." placeholder:"DIR"`
	JSON        bool          `name:"json" help:"Print the result as JSON."`
	MaxLoss     float64       `help:"Share of frames that may be lost." default:"0.001" placeholder:"SHARE"`
	MaxCPU      float64       `help:"Share of the server's cores that may be used." default:"0.95" placeholder:"SHARE"`
	MaxLatency  time.Duration `help:"One-way time through the server, 99th percentile." default:"20ms"`
}

// Run measures and prints. That a limit was met is the answer, not an error; not
// to hold even the first step is one, and a soak that was not flat.
func (c *benchCmd) Run(ctx context.Context, out io.Writer) error {
	r, err := bench.Run(ctx, bench.Options{
		From: c.From, Step: c.Step, Most: c.Most, Fine: c.Fine, Hold: c.Hold, Climb: c.Climb, Tries: c.Tries, Wall: c.Wall, Compare: c.Compare, Soak: c.Soak, RenderLoad: c.RenderLoad, PerSecond: c.PerSecond, NoRecord: c.NoRecord,
		Sample: c.Sample, Rates: c.Rates, ServerCores: c.ServerCores, LoadCores: c.LoadCores, Dir: c.Dir,
		Limits: bench.Limits{Loss: c.MaxLoss, CPU: c.MaxCPU, Latency: c.MaxLatency},
		Report: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if r == nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = errors.Join(err, e.Encode(r))
	} else {
		err = errors.Join(err, r.Table(out))
	}
	return errors.Join(err, r.Unmet())
}

// benchRelayCmd is the bare relay loop of bench --wall, which starts it.
type benchRelayCmd struct{}

// Run relays until its input ends.
func (c *benchRelayCmd) Run(out io.Writer) error { return bench.Relay(os.Stdin, out) }
