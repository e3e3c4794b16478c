package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"tapedeck/client"
)

type recordingDownloadCmd struct {
	recordingArg

	Format string `help:"wav (the master), flac, mp3 or ogg." default:"wav" enum:"wav,flac,mp3,ogg" placeholder:"FORMAT"`
	Out    string `help:"Where the audio goes (default: ID.FORMAT here)." short:"o" placeholder:"FILE"`
	Force  bool   `help:"Write over a file that is there."`
}

// Run fetches the audio.
func (c *recordingDownloadCmd) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, func(api *client.Client, id client.RecordingID) error {
		r, err := api.GetRecording(ctx, id)
		if err != nil {
			return err
		}
		// The names are of the id that was asked for: what a server answers must
		// not say where a file goes.
		format := client.AudioFormat(c.Format)
		d := client.Download{Path: client.RecordingPath(id, format), To: c.Out, Replace: c.Force}
		if d.To == "" {
			d.To = id + "." + c.Format
		}
		if format == client.AudioFormatWav {
			d.SHA256 = r.SHA256
		}
		return c.fetch(ctx, out, api, d)
	})
}

// fetch downloads, with a progress bar on a terminal, and says what came.
func (f *serverFlags) fetch(ctx context.Context, out io.Writer, api *client.Client, d client.Download) error {
	show, finish := progress("fetching")
	d.Progress = show
	got, err := api.Download(ctx, d)
	finish()
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --force writes over it", err)
	}
	if err != nil {
		return err
	}
	if f.JSON {
		return f.print(out, map[string]any{"file": d.To, "size": got.Size, "sha256": got.SHA256, "proved": got.Proved, "resumed": got.Resumed}, nil)
	}
	proof := "as the server has it"
	if !got.Proved {
		proof = "what there is so far: nobody knows its hash yet"
	}
	resumed := ""
	if got.Resumed > 0 {
		resumed = fmt.Sprintf(", %d of them from before", got.Resumed)
	}
	_, err = fmt.Fprintf(out, "%s: %d bytes%s, SHA-256 %s, %s\n", d.To, got.Size, resumed, got.SHA256, proof)
	return err
}

type recordingReceiptCmd struct {
	recordingArg

	Out   string `help:"Where the receipt goes (default: standard output)." short:"o" placeholder:"FILE"`
	Force bool   `help:"Write over a file that is there."`
}

// Run fetches the receipt.
func (c *recordingReceiptCmd) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, func(api *client.Client, id client.RecordingID) error {
		receipt, err := api.GetRecordingReceipt(ctx, id)
		if err != nil {
			return err
		}
		return writeReceipt(out, c.Out, receipt, c.Force)
	})
}

// writeReceipt writes the bytes as they came: the signature is over them.
func writeReceipt(out io.Writer, path string, receipt []byte, force bool) error {
	if path == "" {
		_, err := out.Write(receipt)
		return err
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --force writes over it", err)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(receipt)
	if err = errors.Join(err, f.Close()); err != nil && !force {
		err = errors.Join(err, os.Remove(path)) // half a receipt proves nothing, and is in the way of the next try
	}
	return err
}

type recordingRenderCmd struct {
	recordingArg

	Stereo  *bool  `negatable:"" help:"Two channels, or all in one (default: as the recording was asked for)."`
	Swap    bool   `help:"Exchange left and right."`
	Format  string `help:"wav, flac, mp3 or ogg." default:"wav" enum:"wav,flac,mp3,ogg" placeholder:"FORMAT"`
	Out     string `help:"Wait for the file, and fetch it to there." short:"o" placeholder:"FILE"`
	Receipt string `help:"Wait for the file, and fetch its receipt to there." placeholder:"FILE"`
	Force   bool   `help:"Write over files that are there."`
}

// Run asks for the rendering, and fetches what came of it when it was told where
// to.
func (c *recordingRenderCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Out != "" && c.Receipt != "" && sameFile(c.Out, c.Receipt) {
		return fmt.Errorf("--out and --receipt are both %s: give two names", c.Out)
	}
	return c.ask(ctx, func(api *client.Client, id client.RecordingID) error { return c.render(ctx, out, api, id) })
}

func (c *recordingRenderCmd) render(ctx context.Context, out io.Writer, api *client.Client, id client.RecordingID) error {
	made, err := api.RenderRecording(ctx, id, client.RenderRecording{Stereo: c.Stereo, Swap: c.Swap, Format: client.AudioFormat(c.Format)})
	if err != nil {
		return err
	}
	if c.Out == "" && c.Receipt == "" {
		return c.print(out, made, func(t io.Writer) {
			line(t, "id", made.ID)
			line(t, "status", made.Status)
		})
	}
	if made, err = api.WaitForRender(ctx, id, made.ID); err != nil {
		return err
	}
	if made.Status != client.RenderStatusAvailable {
		return fmt.Errorf("render %s is %s: %s", made.ID, made.Status, made.Problem)
	}
	if c.Receipt != "" {
		receipt, err := api.GetRenderReceipt(ctx, id, made.ID)
		if err != nil {
			return err
		}
		if err := writeReceipt(out, c.Receipt, receipt, c.Force); err != nil {
			return err
		}
	}
	if c.Out == "" {
		return nil
	}
	return c.fetch(ctx, out, api, client.Download{Path: client.RenderPath(id, made.ID), To: c.Out, Replace: c.Force, SHA256: made.SHA256})
}
