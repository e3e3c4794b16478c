package background_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promtest "github.com/prometheus/client_golang/prometheus/testutil"

	"tapedeck/internal/background"
	"tapedeck/internal/testkit"
)

const patience = 20 * time.Second

func open(t *testing.T, parallel int) (*background.Pool, *prometheus.Registry) {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	registry := prometheus.NewRegistry()
	p, err := background.New(background.Options{Parallel: parallel, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return p, registry
}

func gauges(t *testing.T, registry *prometheus.Registry, running, waiting string) bool {
	t.Helper()
	return promtest.GatherAndCompare(registry, strings.NewReader(`
# HELP tapedeck_background_running Renderings and conversions that are being done.
# TYPE tapedeck_background_running gauge
tapedeck_background_running `+running+`
# HELP tapedeck_background_waiting Renderings and conversions that wait for a place.
# TYPE tapedeck_background_waiting gauge
tapedeck_background_waiting `+waiting+`
`)) == nil
}

// TestBounded: never more at once than there are places, and all get their turn.
func TestBounded(t *testing.T) {
	p, registry := open(t, 2)
	const pieces = 9
	var running, most atomic.Int64
	free := make(chan struct{}) // closed by the test: the work may end
	ended := make(chan error, pieces)
	for range pieces {
		go func() {
			ended <- p.Do(t.Context(), func(context.Context) error {
				now := running.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				<-free
				running.Add(-1)
				return nil
			})
		}()
	}
	testkit.Eventually(t, patience, func() bool { return gauges(t, registry, "2", "7") && running.Load() == 2 })
	close(free)
	for range pieces {
		if err := testkit.Receive(t, patience, ended); err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d at once, want 2", most.Load())
	}
	if !gauges(t, registry, "0", "0") {
		t.Error("somebody is still counted")
	}
}

// TestGivesUpWaiting: who waits for a place leaves when its context ends, and
// does nothing.
func TestGivesUpWaiting(t *testing.T) {
	p, registry := open(t, 1)
	free, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Do(t.Context(), func(context.Context) error { <-free; return nil }) }()
	testkit.Eventually(t, patience, func() bool { return gauges(t, registry, "1", "0") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Do(ctx, func(context.Context) error { t.Error("done without a place"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	close(free)
	if err := testkit.Receive(t, patience, ended); err != nil {
		t.Error(err)
	}
}

// TestFirst: what must be done never waits for what may be done, and there is
// never more than one piece above the bound.
func TestFirst(t *testing.T) {
	p, registry := open(t, 1)
	free, freeFirst, ended := make(chan struct{}), make(chan struct{}), make(chan error, 4)
	for range 2 {
		go func() { ended <- p.Do(t.Context(), func(context.Context) error { <-free; return nil }) }()
	}
	testkit.Eventually(t, patience, func() bool { return gauges(t, registry, "1", "1") })
	for range 2 {
		go func() { ended <- p.First(t.Context(), func(context.Context) error { <-freeFirst; return nil }) }()
	}
	testkit.Eventually(t, patience, func() bool { return gauges(t, registry, "2", "2") })
	close(freeFirst)
	for range 2 {
		if err := testkit.Receive(t, patience, ended); err != nil {
			t.Error(err)
		}
	}
	testkit.Eventually(t, patience, func() bool { return gauges(t, registry, "1", "1") })
	// Somebody who waits is told that it takes too long.
	err := p.Within(t.Context(), time.Millisecond, func(context.Context) error { t.Error("done without a place"); return nil })
	if !errors.Is(err, background.ErrBusy) {
		t.Errorf("error is %v", err)
	}
	close(free)
	for range 2 {
		if err := testkit.Receive(t, patience, ended); err != nil {
			t.Error(err)
		}
	}
	if err := p.Within(t.Context(), patience, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestElsewhere: what only waits for other processes has the same bound and the
// same ends.
func TestElsewhere(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	p, err := background.New(background.Options{Parallel: 1, Elsewhere: true})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(t.Context(), func(ctx context.Context) error {
		return p.Within(ctx, time.Millisecond, func(context.Context) error { t.Error("done without a place"); return nil })
	})
	if !errors.Is(err, background.ErrBusy) {
		t.Errorf("error is %v", err)
	}
	if err := p.First(t.Context(), func(context.Context) error { panic("ouch") }); err == nil || !strings.Contains(err.Error(), "ouch") {
		t.Errorf("a panic is %v", err)
	}
}

// TestFaults: an error and a panic of the work are the caller's, and the place
// is free again.
func TestFaults(t *testing.T) {
	p, _ := open(t, 1)
	broken := errors.New("broken")
	if err := p.Do(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if err := p.Do(t.Context(), func(context.Context) error { panic("ouch") }); err == nil || !strings.Contains(err.Error(), "ouch") {
		t.Errorf("a panic is %v", err)
	}
	if err := p.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	if _, err := background.New(background.Options{Parallel: -1}); err == nil {
		t.Error("a pool of -1 places")
	}
	if d, err := background.New(background.Options{}); err != nil || d.Parallel() < 1 {
		t.Errorf("the default is %v places, %v", d, err)
	}
}
