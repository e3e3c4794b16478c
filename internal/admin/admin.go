package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what a Health works with. All but Logger are needed.
type Options struct {
	Check    func(context.Context) error // nil when the database answers
	Draining func() bool                 // true while the server shuts down
	Room     func() error                // nil when new recordings can be taken
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger // nil = discard
}

// Health answers /healthz, /readyz and /metrics.
type Health struct {
	o       Options
	log     *slog.Logger
	metrics http.Handler
}

// New makes a Health.
func New(o Options) (*Health, error) {
	if o.Check == nil || o.Draining == nil || o.Room == nil || o.Gatherer == nil {
		return nil, errors.New("admin: Check, Draining, Room and Gatherer are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Health{
		o: o, log: o.Logger,
		metrics: promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
			ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
			ErrorHandling: promhttp.ContinueOnError,
		}),
	}, nil
}

// health is the body of /healthz and /readyz.
type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

// checkTime is how long the database may take to answer before the server is
// said not to be ready.
const checkTime = 2 * time.Second

// ServeHTTP answers one request.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		h.write(w, http.StatusOK, health{Status: "ok"})
	case "/readyz":
		if bad := h.Ready(r.Context()); len(bad) > 0 {
			h.write(w, http.StatusServiceUnavailable, health{Status: "not-ready", Checks: bad})
			return
		}
		h.write(w, http.StatusOK, health{Status: "ok"})
	case "/metrics":
		h.metrics.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Ready returns what keeps the server from taking new work, by part; nothing
// when it is ready.
func (h *Health) Ready(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	bad := map[string]string{}
	if h.o.Draining() {
		bad["server"] = "is shutting down"
	}
	if err := h.o.Check(ctx); err != nil {
		bad["database"] = "does not answer"
		h.log.Warn("not ready: database does not answer", "error", err)
	}
	if err := h.o.Room(); err != nil {
		bad["recorder"] = "has no room for new recordings"
		h.log.Warn("not ready: no room for new recordings", "error", err)
	}
	return bad
}

func (h *Health) write(w http.ResponseWriter, status int, body health) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.log.Debug("health not taken by its client", "error", err)
	}
}
