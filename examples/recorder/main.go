// Command recorder stands between callers and the ones they call: every call is
// connected on and recorded in stereo, and the files are fetched with their signed
// receipts and proved.
//
//	go run ./examples/recorder -number '*' -trunk sip:198.51.100.7 -dir recordings
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tapedeck/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// recorder fetches what its channel records.
type recorder struct {
	c       *client.Client
	channel client.ChannelID
	key     *client.ReceiptKey
	dir     string
	say     *log.Logger
}

// run sets the number up, and fetches recordings until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := client.FromEnvironment()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("recorder", flag.ExitOnError)
	flags.StringVar(&o.BaseURL, "server", o.BaseURL, "address of the server")
	number := flags.String("number", "*", "the number that is recorded; * is every number that no other channel has")
	to := flags.String("to", "{to}", "whom callers reach: a sip: URI, or a number for the trunk; {to} is the number that they dialled")
	trunk := flags.String("trunk", "", "where numbers are called, as sip:198.51.100.7")
	sources := flags.String("sources", "", "networks that may call, separated by commas; none is this machine alone")
	dir := flags.String("dir", "recordings", "directory of the files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}

	networks := strings.FieldsFunc(*sources, func(r rune) bool { return r == ',' })
	r := recorder{c: client.New(o), dir: *dir, say: log.New(out, "", log.Ltime)}
	defer r.c.Close()
	if r.key, err = r.c.GetReceiptKey(ctx); err != nil {
		return err
	}
	channel, err := r.c.EnsureChannel(ctx, client.CreateChannel{
		Name: "Recorder", Number: *number, Trunk: client.Trunk{URI: trunk},
		Inbound: client.Inbound{Sources: &networks, CallFlow: &[]client.Step{
			client.Do(client.BridgeCall{To: *to, Record: true, RecordStereo: true}),
		}},
	})
	if err != nil {
		return err
	}
	r.channel = channel.ID
	r.say.Printf("calls of number %s go to %s and are recorded; files go to %s", *number, *to, *dir)
	return r.follow(ctx)
}

// follow fetches what there is, and then each file as soon as it is made. The
// place among the events is taken first, so that nothing falls between both.
func (r *recorder) follow(ctx context.Context) error {
	place, err := r.c.LastEvent(ctx)
	if err != nil {
		return err
	}
	old := client.ListRecordingsParams{ChannelID: r.channel, Status: client.RecordingStatusAvailable, Limit: 99}
	for recording, err := range r.c.AllRecordings(ctx, old) {
		if err == nil {
			err = r.fetch(ctx, &recording)
		}
		if err != nil {
			return err
		}
	}
	for event, err := range r.c.Events(ctx, place,
		client.EventTypeRecordingAvailable, client.EventTypeRecordingAbsent, client.EventTypeRecordingFailed) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		recording, err := event.Recording()
		if err == nil && recording.ChannelID == r.channel {
			err = r.fetch(ctx, &recording)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch gets a file and its receipt and proves both. The receipt is written last:
// with it, all is there.
func (r *recorder) fetch(ctx context.Context, recording *client.Recording) error {
	call := fmt.Sprintf("%s called %s", recording.Originator.Number.Number, recording.Receiver.Number.Number)
	if recording.Status != client.RecordingStatusAvailable {
		r.say.Printf("%s: no file, %s %s", call, recording.EndCause, recording.Problem)
		return nil
	}
	audio := filepath.Join(r.dir, recording.ID+".wav")
	paper := filepath.Join(r.dir, recording.ID+".receipt.json")
	if _, err := os.Stat(paper); !errors.Is(err, fs.ErrNotExist) {
		return err // fetched before, or a fault
	}
	file, err := r.c.Download(ctx, client.Download{
		Path: client.RecordingPath(recording.ID, client.AudioFormatWav), To: audio, SHA256: recording.SHA256, Replace: true,
	})
	if client.CodeOf(err) == client.CodeNotFound {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	receipt, err := r.c.Receipt(ctx, recording.ID)
	if err != nil {
		return err
	}
	if err := receipt.Verify(r.key, file); err != nil {
		return fmt.Errorf("recording %s: %w", recording.ID, err)
	}
	if err := os.WriteFile(paper, receipt.Raw, 0o600); err != nil {
		return err
	}
	whole := "complete"
	if !receipt.Complete {
		whole = "NOT complete, ended by " + string(receipt.EndCause)
	}
	r.say.Printf("%s: %s, %s, verified: %s", call, time.Duration(recording.DurationMs)*time.Millisecond, whole, audio)
	for _, t := range receipt.Tracks {
		r.say.Printf("   %s %s: %d packets, %d lost", [2]string{"left", "right"}[t.Side&1], t.Party, t.Received, t.Lost)
	}
	return nil
}
