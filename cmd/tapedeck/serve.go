package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/mattn/go-isatty"

	"tapedeck/internal/server"
)

// serveCmd has a flag for what is set most often; the file and the environment
// can set everything.
type serveCmd struct {
	Config string `help:"YAML file with the configuration." type:"existingfile" placeholder:"FILE"`

	Data             *string `help:"Data directory (default ./data)." placeholder:"DIR"`
	HTTP             *string `name:"http" help:"Address of the HTTP API (default 127.0.0.1:8080)." placeholder:"ADDR"`
	SIP              *string `name:"sip" help:"Address of SIP, UDP and TCP (default 127.0.0.1:5060)." placeholder:"ADDR"`
	RTPPorts         *string `name:"rtp-ports" help:"Range of UDP ports for media (default 20000-29999)." placeholder:"FROM-TO"`
	MediaIP          *string `name:"media-ip" help:"Address written into SDP (default: the one that --sip binds)." placeholder:"IP"`
	Database         *string `help:"Database (default: SQLite in the data directory)." placeholder:"URL"`
	Storage          *string `help:"Where finished recordings are kept (default: a folder in the data directory)." placeholder:"URL"`
	AllowPrivateURLs *bool   `name:"allow-private-urls" help:"Let playback and webhooks reach private and loopback addresses."`
	DrainTimeout     *string `name:"drain-timeout" help:"How long a shutdown may take." placeholder:"DURATION"`
	LogLevel         *string `name:"log-level" help:"debug, info, warn or error." placeholder:"LEVEL"`
	LogFormat        *string `name:"log-format" help:"auto, text or json." placeholder:"FORMAT"`
}

// flags are the values of the flags that were given, by name.
func (c *serveCmd) flags() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]*string{
		"data": c.Data, "http": c.HTTP, "sip": c.SIP, "rtp-ports": c.RTPPorts, "media-ip": c.MediaIP,
		"database": c.Database, "storage": c.Storage, "drain-timeout": c.DrainTimeout,
		"log-level": c.LogLevel, "log-format": c.LogFormat,
	} {
		if value != nil {
			out[name] = *value
		}
	}
	if c.AllowPrivateURLs != nil && *c.AllowPrivateURLs {
		out["allow-private-urls"] = "true"
	}
	return out
}

// gcPercent is how much the heap may grow before it is collected. Packets allocate
// nothing, only calls that come and go do, so that a smaller heap is nearly free; it
// is what a call costs in memory.
const gcPercent = 33

// Run serves until the context is done.
func (c *serveCmd) Run(ctx context.Context, out io.Writer) error {
	collect := 0
	if os.Getenv("GOGC") == "" {
		collect = gcPercent
		debug.SetGCPercent(gcPercent)
	}
	cfg, err := server.LoadConfig(server.Source{File: c.Config, Env: os.Environ(), Flags: c.flags()})
	if err != nil {
		return err
	}
	log, err := server.NewLogger(cfg.Log, os.Stderr, isatty.IsTerminal(os.Stderr.Fd()))
	if err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	if cfg.Media.Workers == 0 {
		cfg.Media.Workers = cores
	}
	runtime.GOMAXPROCS(server.Places(cfg, cores))
	aside, err := server.WorkshopCommand(makeFiles)
	if err != nil {
		log.Warn("files are made in the server", "error", err)
	}
	s, err := server.New(ctx, server.Options{Config: cfg, Logger: log, Version: version, Alone: true, Collect: collect, Workshop: aside})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(s.Ready()); err != nil {
		return err
	}
	return s.Run(ctx)
}

// makeFiles is the name of makeFilesCmd, which the server starts.
const makeFiles = "make-files"

// makeFilesCmd makes files for a server, which starts it.
type makeFilesCmd struct{}

// Run makes files until the server ends.
func (c *makeFilesCmd) Run() error { return server.RunWorkshop() }
