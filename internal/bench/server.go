package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tapedeck/client"
	"tapedeck/internal/server"
)

// rtpPorts stay below the ports that Linux gives to who asks for any.
const rtpPorts = "10000-32767"

// stopPatience is how long the server may take to end.
const stopPatience = time.Minute

// process is the server under load.
type process struct {
	server.Ready
	api    *client.Client
	data   string
	cmd    *exec.Cmd
	log    *os.File
	exited chan error // sent to once, by the goroutine that waits for the process

	rendered []client.RecordingID // that are rendered all the time, and are of no call of the load
}

// start starts the program as a server with an empty data directory.
func start(ctx context.Context, o *Options, data string) (_ *process, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	p := &process{data: data, exited: make(chan error, 1)}
	if p.log, err = os.Create(filepath.Join(o.Dir, "server.log")); err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--data", data, "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--rtp-ports", rtpPorts}, o.Args...)
	// It is ended by stop, whatever becomes of ctx: what it holds must be freed.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), o.Program, args...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	if err := startOn(p.cmd, o.ServerCores); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Program, err), p.log.Close())
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.Ready)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	if err != nil {
		return nil, fmt.Errorf("the server did not start: %w", errors.Join(err, p.said(), p.stop()))
	}
	boot, err := server.ReadBootstrap(data)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.api = client.New(client.Options{BaseURL: p.HTTP, AccessKey: boot.AccessKey, Workspace: string(boot.Workspace)})
	return p, nil
}

// said is the end of the server's log, as an error.
func (p *process) said() error {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err
	}
	const most = 2000
	return errors.New(strings.TrimSpace(string(text[max(0, len(text)-most):])))
}

// stop ends the server, in good order if it can, and removes its data.
func (p *process) stop() error {
	if p.api != nil {
		p.api.Close()
	}
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case exit := <-p.exited:
		err = errors.Join(err, exit)
	case <-patience.C:
		err = errors.Join(err, errors.New("the server did not end and was killed"), p.cmd.Process.Kill(), <-p.exited)
	}
	return errors.Join(err, p.log.Close(), os.RemoveAll(p.data))
}

// anyNumber is the number of a channel that takes every call.
const anyNumber = "*"

// inline makes the channel through which every call to a number is bridged to the
// load's callees, and recorded.
func (p *process) inline(ctx context.Context, number, trunk string, record bool) error {
	flow := []client.Step{client.Do(client.BridgeCall{To: "{to}", Record: record, RecordStereo: record})}
	_, err := p.api.CreateChannel(ctx, client.CreateChannel{
		Name: "bench " + number, Number: number, Trunk: client.Trunk{URI: new("sip:" + trunk)}, Inbound: client.Inbound{CallFlow: &flow},
	})
	return err
}

// journals is how many bytes of journals there are.
func (p *process) journals() (sum int64, err error) {
	list, err := filepath.Glob(filepath.Join(p.data, "journals", "*"))
	if err != nil {
		return 0, err
	}
	for _, path := range list {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // swept
		}
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}
