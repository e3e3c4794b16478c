package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// journalCmd works on journals without a server.
type journalCmd struct {
	Inspect journalInspectCmd `cmd:"" help:"Print what a journal holds."`
	Render  journalRenderCmd  `cmd:"" help:"Make the WAV file of a journal."`
	Repair  journalRepairCmd  `cmd:"" help:"Cut off what a crash left half written."`
}

type journalInspectCmd struct {
	File    string `arg:"" help:"The journal." type:"existingfile"`
	Packets bool   `help:"Print each packet and sender report too."`
	Pcapng  string `help:"Write what arrived as a capture that Wireshark plays." placeholder:"OUT"`
}

// Run prints the journal.
func (c *journalInspectCmd) Run(ctx context.Context, out io.Writer) error {
	j, err := journal.Open(c.File)
	if err != nil {
		return err
	}
	return errors.Join(c.inspect(ctx, out, j), j.Close())
}

func (c *journalInspectCmd) inspect(ctx context.Context, out io.Writer, j *journal.Reader) error {
	if c.Pcapng == "" {
		return journal.Print(out, j, c.Packets)
	}
	if err := mayReplace("--pcapng", c.Pcapng, c.File); err != nil {
		return err
	}
	n, err := writeCapture(ctx, c.Pcapng, j)
	var damage *journal.CorruptError
	if err != nil && !errors.As(err, &damage) {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s: %d RTP packets\n\n", c.Pcapng, n); err != nil {
		return err
	}
	return journal.Print(out, j, c.Packets) // tells of the damage, too
}

type journalRenderCmd struct {
	File      string        `arg:"" help:"The journal." type:"existingfile"`
	Out       string        `help:"Where the WAV file goes." required:"" placeholder:"WAV"`
	Receipt   string        `help:"Where the receipt goes, as JSON." placeholder:"FILE"`
	Stereo    *bool         `negatable:"" help:"Two channels: the call's party left, what it hears right (default: as it was asked for)."`
	Swap      bool          `help:"Exchange left and right."`
	MaxLength time.Duration `help:"Longest file (default: as it was asked for)." placeholder:"DURATION"`
}

// Run renders the journal, with a progress bar on a terminal.
func (c *journalRenderCmd) Run(ctx context.Context, out io.Writer) error {
	j, err := journal.Open(c.File)
	if err != nil {
		return err
	}
	return errors.Join(c.render(ctx, out, j), j.Close())
}

func (c *journalRenderCmd) render(ctx context.Context, out io.Writer, j *journal.Reader) error {
	if err := mayReplace("--out", c.Out, c.File, c.Receipt); err != nil {
		return err
	}
	if c.Receipt != "" && sameFile(c.Receipt, c.File) {
		return fmt.Errorf("--receipt %s: that is the journal, which would be lost: give another name", c.Receipt)
	}
	show, finish := progress("rendering")
	defer finish()
	h := j.Header()
	layout := render.Layout{
		Stereo: h.Stereo, MaxLength: h.MaxLength, EndCause: voice.EndNodeLost,
		Software: "tapedeck " + version, Progress: show,
	}
	layout.Swap = c.Swap
	if c.Stereo != nil {
		layout.Stereo = *c.Stereo
	}
	if c.MaxLength > 0 {
		layout.MaxLength = c.MaxLength
	}
	plan, err := render.Make(j, layout)
	if err != nil {
		return err
	}
	receipt, err := plan.File(ctx, c.Out)
	finish()
	if err != nil {
		return err
	}
	if c.Receipt != "" {
		text, err := json.MarshalIndent(receipt, "", "  ")
		if err != nil {
			return fmt.Errorf("receipt: %w", err)
		}
		if err := os.WriteFile(c.Receipt, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("receipt: %w", err)
		}
	}
	_, err = fmt.Fprintf(out, "%s: %s, %d Hz, %d channels, %d bytes, SHA-256 %s\n", c.Out,
		receipt.Duration(), receipt.SampleRate, receipt.Channels, receipt.File.Size, receipt.File.SHA256)
	return err
}

type journalRepairCmd struct {
	File string `arg:"" help:"The journal. It must not be in use by a server." type:"existingfile"`
}

// Run repairs the journal and says what was done.
func (c *journalRepairCmd) Run(_ context.Context, out io.Writer) error {
	show, finish := progress("reading")
	rep, err := journal.Repair(c.File, show)
	finish()
	if err != nil {
		return err
	}
	said := fmt.Sprintf("%s: whole", c.File)
	if rep.Torn > 0 {
		said = fmt.Sprintf("%s: cut %d bytes off its end", c.File, rep.Torn)
	}
	_, err = fmt.Fprintf(out, "%s; %d bytes, %d blocks, %d packets, %d corrupt parts\n", said, rep.Size, rep.Blocks, rep.Packets, rep.Damaged)
	return err
}
