package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"

	"tapedeck/internal/demo"
)

// demoCmd is the main job with nothing around it.
type demoCmd struct {
	Data         string `help:"Data directory of the server (default: a temporary one, of which the recording and its receipt are left)." placeholder:"DIR"`
	Keep         bool   `help:"Leave the temporary data directory."`
	Conversation string `help:"What the parties talk: order or clinic." default:"order" placeholder:"NAME"`
	Picture      string `name:"record-picture" help:"Draw the recording's waveform as SVG." placeholder:"FILE"`
	Verbose      bool   `help:"Show the log of the server." short:"v"`
}

// Run runs the demo. A recording that is not as it must be is an error.
func (c *demoCmd) Run(ctx context.Context, out io.Writer) error {
	o := demo.Options{
		Data: c.Data, Keep: c.Keep, Conversation: c.Conversation, Picture: c.Picture, Out: out, Version: version,
	}
	if isatty.IsTerminal(os.Stderr.Fd()) {
		o.Progress = os.Stderr
	}
	if c.Verbose {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	_, err := demo.Run(ctx, o)
	return err
}
