package server

import (
	"fmt"
	"io"
	"log/slog"

	"tapedeck/internal/config"
)

// NewLogger makes the log: readable lines on a terminal, JSON lines otherwise,
// unless the configuration says which.
func NewLogger(c config.Log, w io.Writer, terminal bool) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level %q: use debug, info, warn or error", c.Level)
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || (c.Format == "auto" && terminal) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
}
