package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"tapedeck/client"
	"tapedeck/internal/server"
)

// recordingCmd is the administration of recordings. But for verify, which needs
// nobody, it asks a server.
type recordingCmd struct {
	List     recordingListCmd     `cmd:"" help:"List recordings, newest first."`
	Show     recordingShowCmd     `cmd:"" help:"Show a recording."`
	Download recordingDownloadCmd `cmd:"" help:"Fetch the audio, whole and checked; goes on where it was cut off."`
	Receipt  recordingReceiptCmd  `cmd:"" help:"Fetch the receipt, byte for byte."`
	Render   recordingRenderCmd   `cmd:"" help:"Make another file from the journal: in stereo or not, sides exchanged, in another format."`
	Delete   recordingDeleteCmd   `cmd:"" help:"Delete the audio; the receipt stays."`
	Verify   recordingVerifyCmd   `cmd:"" help:"Prove offline that a file is the one of which a receipt speaks."`
}

// serverFlags say which server to ask, and who asks.
type serverFlags struct {
	Server    string `help:"Address of the server." default:"http://127.0.0.1:8080" env:"TAPEDECK_SERVER" placeholder:"URL"`
	AccessKey string `name:"access-key" help:"File with the access key; - is standard input. Or the key itself in TAPEDECK_ACCESS_KEY (default, for a server on this machine: as in DIR/bootstrap.json)." placeholder:"FILE"`
	Workspace string `short:"w" help:"Id of the workspace (default: as in DIR/bootstrap.json)." env:"TAPEDECK_WORKSPACE" placeholder:"ID"`
	Data      string `help:"Data directory of a server on this machine (default ./data)." default:"./data" env:"TAPEDECK_DATA" placeholder:"DIR"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// connect makes the client. What is not given is what the first start of a
// server on this machine wrote down.
func (f *serverFlags) connect() (*client.Client, error) {
	o := client.Options{
		BaseURL: f.Server, AccessKey: os.Getenv("TAPEDECK_ACCESS_KEY"), Workspace: f.Workspace, UserAgent: "tapedeck",
		Attempts: 1, // a person waits, and can ask again
	}
	if f.AccessKey != "" {
		text, err := readAll(f.AccessKey)
		if err != nil {
			return nil, fmt.Errorf("--access-key: %w", err)
		}
		if o.AccessKey = strings.TrimSpace(string(text)); o.AccessKey == "" {
			return nil, fmt.Errorf("--access-key %s: there is no key in it", f.AccessKey) // another one is not what was asked for
		}
	}
	if o.AccessKey == "" || o.Workspace == "" {
		boot, err := server.ReadBootstrap(f.Data)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no access key or workspace: give --access-key and --workspace, or --data with the data directory of a server on this machine: %w", err)
		}
		if err != nil {
			return nil, err
		}
		if o.AccessKey == "" {
			// The key has all rights here. Nobody else must be told it, only because
			// we happen to stand beside it.
			if !onThisMachine(f.Server) {
				return nil, fmt.Errorf("no access key for %s: give --access-key; the one in %s is for the server on this machine", f.Server, f.Data)
			}
			o.AccessKey = boot.AccessKey
		}
		if o.Workspace == "" {
			o.Workspace = string(boot.Workspace)
		}
	}
	if strings.ContainsFunc(o.AccessKey, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		return nil, errors.New("the access key is no key: it has spaces, lines or letters that none has; see `tapedeck key create`")
	}
	return client.New(o), nil
}

// onThisMachine reports whether the address of a server is one of this machine.
func onThisMachine(server string) bool {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return u.Hostname() == "localhost" || u.Hostname() == ""
	}
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	ours, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(ours, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().WithZone("") == ip.WithZone("")
	})
}

// ask connects, does something with the server, and adds to an error what can be
// done about it.
func (f *serverFlags) ask(ctx context.Context, do func(*client.Client) error) error {
	api, err := f.connect()
	if err != nil {
		return err
	}
	defer api.Close()
	err = do(api)
	var refused *client.Error
	var unreached *url.Error
	switch {
	case ctx.Err() != nil:
		return err
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w; --access-key or TAPEDECK_ACCESS_KEY gives another", err)
	case errors.As(err, &unreached):
		return fmt.Errorf("%w; is the server running there? --server or TAPEDECK_SERVER gives another address", err)
	}
	return err
}

// readAll reads a file; - is standard input.
func readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

// print writes the result as the other commands do.
func (f *serverFlags) print(out io.Writer, result any, show func(io.Writer)) error {
	d := databaseFlags{JSON: f.JSON}
	return d.print(out, result, show)
}

type recordingListCmd struct {
	serverFlags

	Channel   string    `help:"Only of this channel." placeholder:"ID"`
	Call      string    `help:"Only of this call." placeholder:"ID"`
	Status    string    `help:"Only in this status: accepted, ongoing, paused, completed, available, absent or failed." placeholder:"STATUS"`
	Direction string    `help:"Only of incoming or outgoing calls." placeholder:"DIRECTION"`
	From      string    `help:"Only of calls from this party." placeholder:"PARTY"`
	To        string    `help:"Only of calls to this party." placeholder:"PARTY"`
	Since     time.Time `help:"Only made at that time or later, as 2026-01-31T00:00:00Z." placeholder:"TIME"`
	Until     time.Time `help:"Only made at that time or before." placeholder:"TIME"`
	Limit     int       `help:"How many at most (default ${default})." default:"100" placeholder:"COUNT"`
}

// maxPage is the most that the API gives at once.
const maxPage = 99

// Run lists.
func (c *recordingListCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: it must be 1 or more", c.Limit)
	}
	var list []client.Recording
	err := c.ask(ctx, func(api *client.Client) (err error) {
		list, err = client.Collect(api.AllRecordings(ctx, client.ListRecordingsParams{
			Limit: min(c.Limit, maxPage), ChannelID: c.Channel, SourceID: c.Call, Status: client.RecordingStatus(c.Status),
			Direction: client.Direction(c.Direction), From: c.From, To: c.To, StartAt: c.Since, EndAt: c.Until,
		}), c.Limit)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, list, func(t io.Writer) {
		line(t, "ID", "CREATED", "STATUS", "FROM", "TO", "LENGTH", "END")
		for i := range list {
			r := &list[i]
			line(t, r.ID, r.CreatedAt.Format(time.RFC3339), r.Status, r.Originator.Number.Number, r.Receiver.Number.Number, length(r), r.EndCause)
		}
	})
}

// length is how long a recording is; empty when that is not known yet.
func length(r *client.Recording) string {
	if r.DurationMs == 0 {
		return ""
	}
	return (time.Duration(r.DurationMs) * time.Millisecond).String()
}

// recordingArg names a recording on a server.
type recordingArg struct {
	serverFlags

	ID string `arg:"" help:"Id of the recording."`
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// ask is that of serverFlags, about the recording. Its id becomes a part of
// addresses and of file names, so it must be one.
func (a *recordingArg) ask(ctx context.Context, do func(*client.Client, client.RecordingID) error) error {
	id := strings.ToLower(a.ID)
	if !uuid.MatchString(id) {
		return fmt.Errorf("%q is no id of a recording, which is a UUID: `tapedeck recording list` shows them", a.ID)
	}
	return a.serverFlags.ask(ctx, func(api *client.Client) error { return do(api, id) })
}

type recordingShowCmd struct{ recordingArg }

// Run shows a recording.
func (c *recordingShowCmd) Run(ctx context.Context, out io.Writer) error {
	var r *client.Recording
	err := c.ask(ctx, func(api *client.Client, id client.RecordingID) (err error) {
		r, err = api.GetRecording(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(out, r, func(t io.Writer) {
		line(t, "id", r.ID)
		line(t, "status", r.Status)
		line(t, "problem", r.Problem)
		line(t, "call", r.SourceID)
		line(t, "channel", r.ChannelID)
		line(t, "direction", r.Direction)
		line(t, "from", r.Originator.Number.Number)
		line(t, "to", r.Receiver.Number.Number)
		line(t, "stereo", r.Stereo)
		line(t, "length", length(r))
		line(t, "end cause", r.EndCause)
		line(t, "created", r.CreatedAt.Format(time.RFC3339))
		for _, side := range r.Channels {
			line(t, fmt.Sprintf("channel %d", side.Channel), fmt.Sprintf("%s %s", side.Role, side.Party))
		}
		line(t, "size", r.Size)
		line(t, "SHA-256", r.SHA256)
	})
}

type recordingDeleteCmd struct{ recordingArg }

// Run deletes the audio.
func (c *recordingDeleteCmd) Run(ctx context.Context, _ io.Writer) error {
	return c.ask(ctx, func(api *client.Client, id client.RecordingID) error { return api.DeleteRecording(ctx, id) })
}
