package server

import (
	"testing"

	"tapedeck/internal/config"
	"tapedeck/internal/media"
)

// TestPlaces: one for each core and one for each media worker, and spare ones only where
// media need not share with what runs there.
func TestPlaces(t *testing.T) {
	spare := sparePlaces
	if err := media.RealTimeAllowed(); err != nil {
		t.Logf("no real-time priority here: %v", err)
		spare = 0
	}
	for _, c := range []struct {
		cores, workers int
		realTime       bool
		want           int
	}{
		{cores: 1, workers: 1, realTime: false, want: 2},
		{cores: 1, workers: 1, realTime: true, want: 2 + spare},
		{cores: 8, workers: 8, realTime: true, want: 16 + spare},
		{cores: 8, workers: 2, realTime: false, want: 10},
	} {
		cfg := config.Default()
		cfg.Media.Workers, cfg.Media.RealTime = c.workers, c.realTime
		if got := Places(cfg, c.cores); got != c.want {
			t.Errorf("%d cores, %d workers, real time %t: %d places, want %d", c.cores, c.workers, c.realTime, got, c.want)
		}
	}
}
