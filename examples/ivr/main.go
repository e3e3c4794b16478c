// Command ivr gives a number a voice menu: callers choose with a key and are
// connected, and the talk is recorded in stereo.
//
//	go run ./examples/ivr -number 2000 -sales sip:sales@192.0.2.7 -support sip:support@192.0.2.7
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

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

// run sets the number up, and tells what callers do until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := client.FromEnvironment()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("ivr", flag.ExitOnError)
	flags.StringVar(&o.BaseURL, "server", o.BaseURL, "address of the server")
	number := flags.String("number", "2000", "the number with the menu")
	sales := flags.String("sales", "", "who is called for key 1: a sip: URI, or a number for the trunk")
	support := flags.String("support", "", "who is called for key 2")
	trunk := flags.String("trunk", "", "where numbers are called, as sip:198.51.100.7")
	if err := flags.Parse(args); err != nil {
		return err
	}

	c := client.New(o)
	defer c.Close()
	// What happens from now on, and nothing from before.
	place, err := c.LastEvent(ctx)
	if err != nil {
		return err
	}
	channel, err := c.EnsureChannel(ctx, client.CreateChannel{
		Name: "Voice menu", Number: *number, Trunk: client.Trunk{URI: trunk},
		Inbound: client.Inbound{CallFlow: new(menu(*sales, *support))},
	})
	if err != nil {
		return err
	}
	say := log.New(out, "", log.Ltime)
	say.Printf("number %s is ready: key 1 is %s, key 2 is %s", *number, *sales, *support)
	for event, err := range c.Events(ctx, place, client.EventTypeVoiceInbound, client.EventTypeVoiceOutbound) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		call, err := event.Call()
		if err != nil {
			return err
		}
		if call.ChannelID == channel.ID {
			tell(say, &call)
		}
	}
	return nil
}

// menu is what callers hear. A bridge that comes about ends the call with it, so
// the last words are for those who chose nothing, or whose choice did not answer.
func menu(sales, support string) []client.Step {
	ask := client.Gather{
		MaxNumKeys: 1, Timeout: 5, Retries: 1,
		Say: &client.Say{Text: "Welcome. For sales, press one. For support, press two."},
	}
	return []client.Step{
		client.Do(ask),
		client.Do(client.BridgeCall{To: sales, Record: true, RecordStereo: true}, client.Keys("1")),
		client.Do(client.BridgeCall{To: support, Record: true, RecordStereo: true}, client.Keys("2")),
		client.Do(client.Say{Text: "Nobody is there for you now. Goodbye."}),
		client.Do(client.HangupCall{}),
	}
}

// tell says what a call does, and at its end what became of each command.
func tell(say *log.Logger, call *client.Call) {
	if call.Direction == client.DirectionOutgoing {
		say.Printf("   %s is %s", call.To, call.Status)
		return
	}
	say.Printf("%s is %s", call.From, call.Status)
	if !call.Status.Final() {
		return
	}
	for i := range call.Commands {
		done := &call.Commands[i]
		switch {
		case done.Keys != "":
			say.Printf("   %s: pressed %s", done.Command, done.Keys)
		case done.Reason != "":
			say.Printf("   %s: %s, %s", done.Command, done.Status, done.Reason)
		default:
			say.Printf("   %s: %s", done.Command, done.Status)
		}
	}
}
