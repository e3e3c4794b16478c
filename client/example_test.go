package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"tapedeck/client"
	"tapedeck/internal/httpapi/apitest"
)

// A program makes a number that greets its callers and lets them choose, lists
// the numbers that there are, and is told what is wrong with a request.
func Example() {
	ctx := context.Background()
	err := withServer(ctx, func(s apitest.Running) error {
		c := client.New(client.Options{BaseURL: s.HTTP, AccessKey: s.AccessKey, Workspace: string(s.Workspace)})
		defer c.Close()

		made, err := c.CreateChannel(ctx, client.CreateChannel{Name: "Help", Number: "2000", Inbound: client.Inbound{CallFlow: &[]client.Step{
			client.Do(client.Gather{MaxNumKeys: 1, Say: &client.Say{Text: "Press 1 for a person"}}),
			client.Do(client.BridgeCall{To: "sip:desk@127.0.0.1:5062", Record: true, RecordStereo: true}, client.Keys("1")),
			client.Do(client.HangupCall{}),
		}}})
		if err != nil {
			return err
		}
		for i, step := range made.Inbound.CallFlow {
			fmt.Println(i+1, step.Command)
		}
		for channel, err := range c.AllChannels(ctx, client.ListChannelsParams{}) {
			if err != nil {
				return err
			}
			fmt.Println(channel.Number, channel.Name)
		}
		_, err = c.CreateCall(ctx, made.ID, client.CreateCall{To: "nobody", RingTimeout: 1})
		fmt.Println(client.CodeOf(err))
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 gather
	// 2 bridge
	// 3 hangup
	// 2000 Help
	// 1000 default
	// validation_failed
	// <nil>
}

// withServer runs a server of its own in this process while do runs.
func withServer(ctx context.Context, do func(apitest.Running) error) (err error) {
	data, err := os.MkdirTemp("", "tapedeck-example-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(data); err == nil {
			err = gone
		}
	}()
	s, stop, err := apitest.Serve(ctx, data, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() {
		if ended := stop(); err == nil {
			err = ended
		}
	}()
	return do(s)
}
