// Command tapedeck is the whole product in one binary: the server, the demo and
// the administration of both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker in a release build.
var version = "dev"

type cli struct {
	Serve     serveCmd         `cmd:"" help:"Run the server."`
	Demo      demoCmd          `cmd:"" help:"Record a call between two built-in parties, and show the result."`
	Bench     benchCmd         `cmd:"" help:"Measure how many bridged and recorded calls this machine holds."`
	Relay     benchRelayCmd    `cmd:"" name:"bench-relay" hidden:""`
	MakeFiles makeFilesCmd     `cmd:"" name:"make-files" hidden:""`
	Workspace workspaceCmd     `cmd:"" help:"Administer workspaces."`
	Channel   channelCmd       `cmd:"" help:"Administer voice channels."`
	Key       keyCmd           `cmd:"" help:"Administer access keys."`
	Journal   journalCmd       `cmd:"" help:"Look into journals, render and repair them."`
	Recording recordingCmd     `cmd:"" help:"List, fetch, prove, make anew and delete recordings."`
	Webhook   webhookCmd       `cmd:"" help:"Administer webhooks, see what became of them, and replay."`
	Receipt   receiptKeyCmd    `cmd:"" name:"receipt-key" help:"Print the public key that receipts are verified with."`
	Version   kong.VersionFlag `help:"Print the version."`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings named. It returns the exit code: 0 for
// success, 1 for a command that failed, 2 for words that are no command.
func run(args []string, stdout, stderr io.Writer) int {
	// The first signal ends the command in good order. After it, signals have
	// their default effect again, so that a second one ends it at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("tapedeck"),
		kong.Description("Programmable voice with recordings that are provably complete."),
		kong.Vars{"version": version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		return say(stderr, err, 2)
	}
	command, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help or --version has answered
	}
	if err != nil {
		return say(stderr, err, 2)
	}
	if err := command.Run(); err != nil {
		return say(stderr, told(ctx, err), 1)
	}
	return 0
}

// told is the error with the signal that caused it, where it does not name it.
func told(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// say writes the error for a person and returns the exit code.
func say(w io.Writer, err error, code int) int {
	if _, werr := fmt.Fprintln(w, "tapedeck:", printable(err.Error())); werr != nil {
		return 3 // nobody can hear us
	}
	return code
}
