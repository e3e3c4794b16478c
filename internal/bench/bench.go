package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Options say what is measured, and on what. The zero value of a member takes
// its default.
type Options struct {
	Program string // the tapedeck to start. Default: the running program
	Args    []string
	Dir     string // where the server's data lies while a step runs. Default: the system's temporary directory

	ServerCores []int // default: core 0
	LoadCores   []int // default: all others

	From, Step, Most int           // calls at once: the first step, the distance, the last; Most 0 = until a limit is met
	Fine             int           // how close the answer must be, in calls. Default: Step
	Hold             time.Duration // how long the answer must be held
	Climb            time.Duration // how long the steps on the way to it are held. Default: Hold
	Tries            int           // how often a step is tried until it is held. Default 1
	PerSecond        float64       // calls made in a second. Default 30: see perSecond
	NoRecord         bool          // bridge, but do not record
	Sample           int           // recordings of a step that are read and compared. Default 20
	Limits           Limits

	// Wall says what a bare relay loop holds, too.
	Wall bool
	// Compare says what recording costs, at half of what is held.
	Compare bool
	// Soak, when set, is measured in place of steps: From calls at once that come and
	// go, for so long.
	Soak time.Duration

	// RenderLoad, when set, is measured in place of steps: so many calls, with and
	// without recordings that are rendered all the time.
	RenderLoad int

	// Rates are set-up rates to try, in calls a second. Empty: none.
	Rates []float64

	// Report is told what goes on: a line for a person. nil = nobody.
	Report func(line string)

	rendering bool // recordings are rendered while a step is held
}

// Limits are what a step must stay within to count as held.
type Limits struct {
	Loss    float64       // of frames. Default 0.001
	CPU     float64       // of the server's cores. Default 0.95
	Latency time.Duration // one way, at the 99th percentile. Default 20 ms
}

// Result is what was measured. Its JSON is what the command prints.
type Result struct {
	Machine      Machine    `json:"machine"`
	Record       bool       `json:"record"`
	HoldSeconds  float64    `json:"holdSeconds"`
	Calls        int        `json:"calls"`        // at once, held within the limits; 0 = not even the first step
	CallsPerCore float64    `json:"callsPerCore"` // by the number of the server's cores
	Steps        []Step     `json:"steps"`
	Wall         *Wall      `json:"wall,omitempty"`
	Compare      *Compare   `json:"compare,omitempty"`
	Soak         *Soak      `json:"soak,omitempty"`
	Rendering    *Rendering `json:"rendering,omitempty"`
	SetUps       []SetUp    `json:"setUps,omitempty"`
	Remarks      []string   `json:"remarks,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPU         string `json:"cpu"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	ServerCores []int  `json:"serverCores"`
	LoadCores   []int  `json:"loadCores"`
}

func (o *Options) complete() (err error) {
	if o.Program == "" {
		if o.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("bench: find the program to start: %w", err)
		}
	}
	if len(o.ServerCores) == 0 {
		o.ServerCores = []int{0}
	}
	for core := range runtime.NumCPU() {
		if len(o.LoadCores) < runtime.NumCPU() && !slices.Contains(o.ServerCores, core) && !slices.Contains(o.LoadCores, core) {
			o.LoadCores = append(o.LoadCores, core)
		}
	}
	if len(o.LoadCores) == 0 {
		return errors.New("bench: the load needs a core that the server does not have: give the server fewer with --server-cores")
	}
	if o.From <= 0 || o.Step <= 0 || o.Hold <= 0 {
		return errors.New("bench: the first number of calls, the step and the time to hold must be more than 0")
	}
	o.Tries = max(o.Tries, 1)
	if o.Climb <= 0 {
		o.Climb = o.Hold
	}
	if o.Fine <= 0 {
		o.Fine = o.Step
	}
	if o.PerSecond <= 0 {
		o.PerSecond = perSecond
	}
	if o.Sample == 0 {
		o.Sample = 20
	}
	if o.Limits.Loss == 0 {
		o.Limits.Loss = 0.001
	}
	if o.Limits.CPU == 0 {
		o.Limits.CPU = 0.95
	}
	if o.Limits.Latency == 0 {
		o.Limits.Latency = 20 * time.Millisecond
	}
	if o.Report == nil {
		o.Report = func(string) {}
	}
	return nil
}

// perSecond is how fast a step makes its calls. One costs some 12 ms of a core: a hundred
// a second beside 1,500 that talk are more than a core can do, and the half second of
// packets that piles up then is still there a minute later, because packets that have
// waited long are in no cache any more. How many calls a second can be made is measured
// by itself (Options.Rates).
const perSecond = 30

// Run measures: more and more calls until a limit is met, then closer to it. The
// process that calls it stays on LoadCores meanwhile.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	free, err := keepOn(o.LoadCores)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, free()) }()
	dir, err := os.MkdirTemp(o.Dir, "tapedeck-bench-*")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.Dir = dir
	r = &Result{Machine: machine(&o), Record: !o.NoRecord, HoldSeconds: o.Hold.Seconds()}
	if o.Soak > 0 {
		r.Soak, err = soak(ctx, o)
		return r, err
	}
	if o.RenderLoad > 0 {
		r.Rendering, err = rendering(ctx, o, o.RenderLoad)
		return r, err
	}
	c := climb{o: &o, try: step}
	err = c.run(ctx, r)
	r.Steps, r.Calls, r.CallsPerCore = c.steps, c.calls, float64(c.calls)/float64(len(o.ServerCores))
	if err != nil {
		return r, err
	}
	if o.Compare && r.Calls > 1 {
		if r.Compare, err = compare(ctx, o, r.Calls/2); err != nil {
			return r, err
		}
	}
	if o.Wall {
		if err := r.wall(ctx, o); err != nil {
			return r, err
		}
	}
	for _, rate := range o.Rates {
		s, err := setUp(ctx, &o, rate)
		if err != nil {
			return r, fmt.Errorf("bench: %g calls a second: %w", rate, err)
		}
		r.SetUps = append(r.SetUps, s)
		o.Report(s.String())
	}
	return r, nil
}

// data is a fresh data directory for one server.
func (o *Options) data(name string) string { return filepath.Join(o.Dir, name) }
