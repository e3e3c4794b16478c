package server

import (
	"tapedeck/internal/config"
	"tapedeck/internal/media"
)

// sparePlaces are places of the run-time beyond one for each core. A thread that waits
// for the disk keeps its place until the run-time takes it back, and on one core it is
// the only one that SIP and the database have.
const sparePlaces = 2

// Places is how many goroutines the process should let run at once (GOMAXPROCS) on so
// many cores: each of the media workers, which must be set, keeps a place to itself, and
// everything else has as many as there would be without them. The spare ones are for a
// server whose media goes first by real-time priority: where it has to share, more that
// runs beside it makes packets late.
func Places(c *config.Config, cores int) int {
	places := cores + c.Media.Workers
	if mayGoFirst(c) {
		places += sparePlaces
	}
	return places
}

// mayGoFirst says whether media workers have a real-time priority where they are busy.
func mayGoFirst(c *config.Config) bool { return c.Media.RealTime && media.RealTimeAllowed() == nil }
