// Command voicemail gives a number an answering machine, and prints what callers
// said.
//
//	go run ./examples/voicemail -number 2001 -save messages
package main

import (
	"context"
	"flag"
	"io"
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

// machine is an answering machine.
type machine struct {
	c       *client.Client
	channel client.ChannelID
	save    string // directory of the messages' audio; empty = they stay on the server
	say     *log.Logger
}

// run sets the number up, and prints messages until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := client.FromEnvironment()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("voicemail", flag.ExitOnError)
	flags.StringVar(&o.BaseURL, "server", o.BaseURL, "address of the server")
	number := flags.String("number", "2001", "the number with the answering machine")
	greeting := flags.String("greeting", "We are not here. Please leave a message after the tone.", "what callers hear")
	silence := flags.Int("silence", 3, "seconds of silence that end a message; so does #")
	longest := flags.Int("longest", 120, "seconds that a message may last")
	save := flags.String("save", "", "directory to keep the messages' audio in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *save != "" {
		if err := os.MkdirAll(*save, 0o700); err != nil {
			return err
		}
	}

	m := machine{c: client.New(o), save: *save, say: log.New(out, "", log.Ltime)}
	defer m.c.Close()
	place, err := m.c.LastEvent(ctx)
	if err != nil {
		return err
	}
	channel, err := m.c.EnsureChannel(ctx, client.CreateChannel{Name: "Voicemail", Number: *number, Inbound: client.Inbound{CallFlow: &[]client.Step{
		client.Do(client.Say{Text: *greeting}),
		client.Do(client.Record{Beep: true, EndKey: "#", Timeout: *silence, MaxLength: *longest, Transcribe: true}),
		client.Do(client.Say{Text: "Thank you. Goodbye."}),
		client.Do(client.HangupCall{}),
	}}})
	if err != nil {
		return err
	}
	m.channel = channel.ID
	m.say.Printf("number %s takes messages", *number)
	// A receiver of webhooks is told of the same events: see docs/api.md.
	for event, err := range m.c.Events(ctx, place,
		client.EventTypeRecordingAbsent, client.EventTypeTranscriptionAvailable, client.EventTypeTranscriptionFailed) {
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = m.take(ctx, &event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take prints what an event tells of a message.
func (m *machine) take(ctx context.Context, event *client.Event) error {
	if event.Event == client.EventTypeRecordingAbsent {
		r, err := event.Recording()
		if err == nil && m.ours(&r) && r.EndCause != client.EndCauseDeleted {
			m.say.Printf("%s left no message", r.Originator.Number.Number)
		}
		return err
	}
	t, err := event.Transcription()
	if err != nil {
		return err
	}
	r, err := m.c.GetRecording(ctx, t.RecordingID)
	if err != nil || !m.ours(r) {
		return err
	}
	said := "nobody can tell what was said: " + t.Problem
	if t.Status == client.TranscriptionStatusAvailable {
		text, err := m.c.GetTranscriptionText(ctx, t.ID)
		if err != nil {
			return err
		}
		said = strings.TrimSpace(string(text))
	}
	m.say.Printf("%s left a message of %s: %s", r.Originator.Number.Number, time.Duration(r.DurationMs)*time.Millisecond, said)
	if m.save == "" {
		return nil
	}
	to := filepath.Join(m.save, r.ID+".mp3")
	if _, err := m.c.Download(ctx, client.Download{Path: client.RecordingPath(r.ID, client.AudioFormatMp3), To: to, Replace: true}); err != nil {
		return err
	}
	m.say.Printf("   kept as %s", to)
	return nil
}

// ours reports whether a recording is a message for this machine.
func (m *machine) ours(r *client.Recording) bool {
	return r.ChannelID == m.channel && r.Origin == client.RecordingOriginCallCommandRecord
}
