package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
)

// TestNext: up in steps until one does not hold, then halving.
func TestNext(t *testing.T) {
	for name, c := range map[string]struct {
		o         Options
		holds     int // the machine's true capacity
		want      []int
		wantCalls int
	}{
		"until a limit":        {Options{From: 200, Step: 200, Fine: 200}, 700, []int{200, 400, 600, 800}, 600},
		"closer":               {Options{From: 200, Step: 200, Fine: 50}, 700, []int{200, 400, 600, 800, 700, 750}, 700},
		"no more than asked":   {Options{From: 100, Step: 200, Fine: 200, Most: 400}, 1000, []int{100, 300, 400}, 400},
		"not even the first":   {Options{From: 100, Step: 100, Fine: 100}, 10, []int{100}, 0},
		"closer from below":    {Options{From: 100, Step: 100, Fine: 20}, 30, []int{100, 50, 25, 37}, 25},
		"a first step too big": {Options{From: 8, Step: 8, Fine: 1}, 0, []int{8, 4, 2, 1}, 0},
	} {
		good, bad := 0, 0
		var tried []int
		for calls := c.o.From; calls > 0 && len(tried) < 20; calls = c.o.next(good, bad) {
			tried = append(tried, calls)
			if calls <= c.holds {
				good = max(good, calls)
			} else {
				bad = calls
			}
		}
		if !slices.Equal(tried, c.want) || good != c.wantCalls {
			t.Errorf("%s: tried %v and found %d, want %v and %d", name, tried, good, c.want, c.wantCalls)
		}
	}
}

// TestJudge: every limit is one that is looked at.
func TestJudge(t *testing.T) {
	o := Options{From: 1, Step: 1, Hold: time.Second, LoadCores: []int{1}}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	well := Step{Calls: 10, Connected: 10, Sent: 1000, P99: 3, CPU: 0.5, Available: 10, Audited: 10}
	for name, change := range map[string]func(*Step){
		"a call that did not come about":    func(s *Step) { s.Connected, s.Available = 9, 9 },
		"a call that ended by itself":       func(s *Step) { s.Broken = 1 },
		"loss":                              func(s *Step) { s.Lost, s.Loss = 2, 0.002 },
		"a frame twice":                     func(s *Step) { s.Duplicate = 1 },
		"a frame at the wrong party":        func(s *Step) { s.CrossTalk = 1 },
		"latency":                           func(s *Step) { s.P99 = 20.1 },
		"the cores are full":                func(s *Step) { s.CPU = 0.96 },
		"a recording that is not there":     func(s *Step) { s.Available = 9 },
		"a frame that is not in its file":   func(s *Step) { s.AuditLost = 1 },
		"a frame that the receipt misses":   func(s *Step) { s.ReceiptLost = 1 },
		"a frame in the wrong file or side": func(s *Step) { s.AuditMisplaced = 1 },
	} {
		s := well
		change(&s)
		s.judge(&o, &callgen.LoadReport{Failures: []error{errors.New("refused")}})
		if s.Held || len(s.Reasons) != 1 {
			t.Errorf("%s: held %t, %q", name, s.Held, s.Reasons)
		}
	}
	well.judge(&o, &callgen.LoadReport{})
	if !well.Held {
		t.Errorf("nothing was wrong, but %q", well.Reasons)
	}
}

func TestOptions(t *testing.T) {
	var every []int
	for core := range runtime.NumCPU() {
		every = append(every, core)
	}
	for name, o := range map[string]Options{
		"nothing to do":      {LoadCores: []int{1}},
		"no core for a load": {From: 1, Step: 1, Hold: 1, ServerCores: every},
	} {
		if _, err := Run(context.Background(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTable(t *testing.T) {
	r := Result{
		Record: true, HoldSeconds: 30, Calls: 200, CallsPerCore: 200,
		Machine: Machine{CPU: "x", Kernel: "y", Go: "z", ServerCores: []int{0}},
		Steps:   []Step{{Calls: 200, Held: true}, {Calls: 400, Reasons: []string{"1.000 % of the frames lost"}}},
		SetUps:  []SetUp{{PerSecond: 300, Calls: 1500, Connected: 1499}},
		Wall:    &Wall{Calls: 250, Ratio: 0.8, Steps: []Step{{Calls: 250, Held: true}}},
		Remarks: []string{"a remark"},
	}
	var b strings.Builder
	beside := Result{Record: true, Rendering: &Rendering{Calls: 300, With: []Step{{Calls: 300, Renders: 77}}, Without: []Step{{Calls: 300}}, P99Delta: 0.25}}
	if err := errors.Join(r.Table(&b), beside.Table(&b)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cpu-s/call-min", "200 bridged and recorded calls at once on 1 core(s) for 30 s: 200 a core (x, y, z)",
		"400 calls were not held: 1.000 % of the frames lost", "1499", "a remark",
		"77 rendered", "at 300 bridged and recorded calls, recordings that are rendered all the time cost 0.00 ms one way at the median and 0.25 ms at the 99th percentile",
		"bare relay", "a bare relay loop holds 250: the server holds 0.80 of that",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// TestCores: of the cores that are asked for, and of no others.
func TestCores(t *testing.T) {
	stat := func(steal int) []byte {
		return fmt.Appendf(nil, "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 %d 0 10 100 20 0 10 %d 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n", 10+steal, steal)
	}
	then, err := parseCores(stat(0), []int{0})
	now, nerr := parseCores(stat(50), []int{0})
	if err != nil || nerr != nil {
		t.Fatal(err, nerr)
	}
	if want := (coreTimes{all: 150, idle: 120}); then != want {
		t.Errorf("%+v, want %+v", then, want)
	}
	if busy, steal := now.since(then); busy != 0.5 || steal != 0.5 {
		t.Errorf("busy %g, stolen %g", busy, steal)
	}
	if _, err := parseCores([]byte("cpu0 1 2 3 4 5 6 7 x\n"), []int{0}); err == nil {
		t.Error("no number: no error")
	}
}

// TestSoakJudges: what grows is seen, what goes up and down is not growth.
func TestSoakJudges(t *testing.T) {
	var k Soak
	for i := range 40 {
		k.Samples = append(k.Samples, Sample{Seconds: float64(i), RSS: int64(1000 + 10*i), Goroutines: 100 + i%2, Descriptors: 50})
	}
	k.judge()
	if k.Flat || k.RSSGrowth < 0.2 || k.RSSGrowth > 0.25 || k.DescriptorGrowth != 0 {
		t.Errorf("growing: %t, %g, %g, %g", k.Flat, k.RSSGrowth, k.GoroutineGrowth, k.DescriptorGrowth)
	}
	if err := (&Result{Soak: &k}).Unmet(); err == nil || !strings.Contains(err.Error(), "memory grew by 2") {
		t.Errorf("growing, and the verdict is %v", err)
	}
	for i := range k.Samples {
		k.Samples[i].RSS = int64(1000 + i%7)
	}
	if k.judge(); !k.Flat || (&Result{Soak: &k}).Unmet() != nil {
		t.Errorf("flat, but %g, %g, %g", k.RSSGrowth, k.GoroutineGrowth, k.DescriptorGrowth)
	}
	var none Soak
	if none.judge(); none.Flat || (&Result{Soak: &none}).Unmet() == nil {
		t.Error("nothing was seen, and it was flat")
	}
}
