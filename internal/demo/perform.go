package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"tapedeck/client"
	"tapedeck/internal/callgen"
	"tapedeck/internal/receipt"
	"tapedeck/internal/verify"
)

// lead is the time between the command to speak and the first word: both
// parties have heard of it then.
const lead = 300 * time.Millisecond

// perform is the play: call, bridge, record, talk, hang up, fetch.
func (s *stage) perform(ctx context.Context) (*Result, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	asked := time.Now()
	begun, err := s.api.RecordCallSession(ctx, string(s.boot.Channel), s.call, client.RecordCall{Stereo: true})
	if err != nil {
		return nil, err
	}
	s.recording = begun.RecordingID
	accepted := time.Now()
	r := &Result{Conversation: s.o.Conversation, Ready: s.ready, said: s.talk.said()}
	if r.began, err = s.converse(ctx); err != nil {
		return nil, err
	}
	hangup := time.Now()
	if err := s.caller.Hangup(); err != nil {
		return nil, err
	}
	for _, p := range []*callgen.Party{s.caller, s.callee} {
		if _, err := p.Ended(ctx); err != nil {
			return nil, err
		}
	}
	ended := time.Now()
	// The recording began while its command was under way, and ended while the
	// hangup was.
	r.Shortest, r.Longest = hangup.Sub(accepted), ended.Sub(asked)
	if r.Recording, err = s.api.WaitForRecording(ctx, s.recording); err != nil {
		return nil, err
	}
	r.AvailableAfter = time.Since(hangup)
	return r, s.fetch(ctx, r)
}

// connect brings both parties together.
func (s *stage) connect(ctx context.Context) (err error) {
	if s.caller, err = s.endpoint.Party(callgen.PartyOptions{User: callerName}); err != nil {
		return err
	}
	if s.callee, err = s.endpoint.Party(callgen.PartyOptions{User: calleeName}); err != nil {
		return err
	}
	dialled := make(chan error, 1) // sent to once: the caller waits for the bridge
	go func() { dialled <- s.caller.Dial(ctx, "sip:"+s.boot.Number+"@"+s.ready.SIP) }()
	if s.call, err = s.incoming(ctx, callerName); err == nil {
		_, err = s.api.BridgeCall(ctx, string(s.boot.Channel), s.call, client.BridgeCall{To: s.callee.URI()})
	}
	if err != nil {
		return joinHangup(err, s.caller.Hangup(), <-dialled)
	}
	if err := <-dialled; err != nil {
		return err
	}
	return s.callee.Answered(ctx)
}

// incoming waits until there is a call from a party.
func (s *stage) incoming(ctx context.Context, from string) (id client.CallID, err error) {
	err = client.Poll(ctx, func() (bool, error) {
		list, err := s.api.ListChannelCalls(ctx, string(s.boot.Channel), client.ListChannelCallsParams{From: from})
		if err != nil || len(list.Results) == 0 {
			return false, err
		}
		id = list.Results[0].ID
		return true, nil
	})
	if err != nil {
		return "", fmt.Errorf("wait for a call from %s: %w", from, err)
	}
	return id, nil
}

// joinHangup keeps the first error, which is the cause of the others.
func joinHangup(cause error, others ...error) error {
	for _, err := range others {
		if err != nil {
			return fmt.Errorf("%w (then: %w)", cause, err)
		}
	}
	return cause
}

// converse lets both talk, and returns when each of them began.
func (s *stage) converse(ctx context.Context) (began [2]time.Duration, err error) {
	at := s.endpoint.Now() + lead
	playing := [2]*callgen.Playback{
		s.caller.PlayAt(at, callgen.Speech(s.talk.caller)),
		s.callee.PlayAt(at, callgen.Speech(s.talk.callee)),
	}
	length := lead + time.Duration(len(s.talk.caller))*time.Second/callgen.Rate
	stop := s.showProgress(length)
	defer stop()
	for i, p := range playing {
		select {
		case <-p.Done():
		case <-ctx.Done():
			return began, ctx.Err()
		}
		var ok bool
		if began[i], ok = p.Began(); !ok {
			return began, fmt.Errorf("the call ended before the %s had spoken", [2]string{"caller", "callee"}[i])
		}
	}
	// The last frames are on their way: one more frame has been sent after them.
	sent, heard := s.caller.Sent(), s.callee.HeardCount()
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return began, ctx.Err()
	}
	if s.caller.Sent() == sent || s.callee.HeardCount() == heard {
		return began, fmt.Errorf("the media stopped while the call was up")
	}
	return began, nil
}

// showProgress moves the bar while the parties talk, and returns what ends it.
func (s *stage) showProgress(length time.Duration) (stop func()) {
	if s.o.Progress == nil {
		return func() {}
	}
	const step = 100 * time.Millisecond
	bar := progressbar.NewOptions64(int64(length/step),
		progressbar.OptionSetWriter(s.o.Progress), progressbar.OptionSetDescription("the parties talk"),
		progressbar.OptionSetWidth(30), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish())
	ended, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				if bar.Add(1) != nil {
					return // the terminal has gone, or the bar is full
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		if bar.Finish() != nil {
			return // as above: there is nobody to show it to
		}
	}
}

// fetch gets the file and its receipt, and keeps both.
func (s *stage) fetch(ctx context.Context, r *Result) (err error) {
	if r.Recording.Status != client.RecordingStatusAvailable {
		return fmt.Errorf("the recording is %s (%s) %s", r.Recording.Status, r.Recording.EndCause, r.Recording.Problem)
	}
	var wav bytes.Buffer
	if _, err := s.api.Audio(ctx, client.RecordingPath(s.recording, client.AudioFormatWav), &wav); err != nil {
		return err
	}
	r.wav = wav.Bytes()
	if r.Receipt, err = s.api.Receipt(ctx, s.recording); err != nil {
		return err
	}
	r.Path = filepath.Join(s.results, s.recording+".wav")
	r.ReceiptPath = filepath.Join(s.results, s.recording+".receipt.json")
	if err := os.WriteFile(r.Path, r.wav, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(r.ReceiptPath, r.Receipt.Raw, 0o600); err != nil {
		return err
	}
	if s.o.Data != "" || s.o.Keep {
		r.Data = s.dir
	}
	if err := s.prove(ctx, r); err != nil {
		return err
	}
	return r.measure()
}

// prove verifies what was fetched as its receiver would, and keeps the public
// key beside it: the server's directory may be gone soon.
func (s *stage) prove(ctx context.Context, r *Result) error {
	shown, err := s.api.GetReceiptKey(ctx)
	if err != nil {
		return err
	}
	key, err := receipt.ParsePublicKey([]byte(shown.PEM))
	if err != nil {
		return err
	}
	r.KeyPath = filepath.Join(s.results, s.recording+".key.pub")
	if err := os.WriteFile(r.KeyPath, []byte(key.PEM()), 0o600); err != nil {
		return err
	}
	r.Proof, err = verify.Run(ctx, verify.Options{File: r.Path, Receipt: r.ReceiptPath, Key: key})
	return err
}
