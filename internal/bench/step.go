package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tapedeck/client"
	"tapedeck/internal/callgen"
	"tapedeck/internal/wav"
)

// Step is what one number of calls showed. Times are in milliseconds, shares
// from 0 to 1.
type Step struct {
	Calls       int     `json:"calls"`
	HoldSeconds float64 `json:"holdSeconds"`
	Connected   int     `json:"connected"`
	Broken      int     `json:"broken"` // ended by themselves
	Held        bool    `json:"held"`   // everything stayed within the limits

	Sent      uint64  `json:"framesSent"`
	Lost      uint64  `json:"framesLost"`
	Duplicate uint64  `json:"framesDuplicate"`
	CrossTalk uint64  `json:"framesToOthers"`
	Loss      float64 `json:"loss"`

	P50  float64 `json:"latencyP50Ms"`
	P99  float64 `json:"latencyP99Ms"`
	P999 float64 `json:"latencyP999Ms"`

	CPU           float64 `json:"cpu"`       // of the server's cores, by its process, while all talked
	RenderCPU     float64 `json:"renderCpu"` // likewise, by its processes that make files and yield to it
	CoreBusy      float64 `json:"coreBusy"`  // of the server's cores, whoever used them
	Steal         float64 `json:"steal"`     // of the server's cores, taken by the host of this machine
	LoadSteal     float64 `json:"loadSteal"`
	Slowed        float64 `json:"slowed"` // by how much longer the same work took on the server's cores than at best in this step
	CPUPerMinute  float64 `json:"cpuSecondsPerCallMinute"`
	CPUPerPacket  float64 `json:"cpuMicrosPerPacket"` // that came through
	RSSPerCall    int64   `json:"rssBytesPerCall"`
	JournalBytes  int64   `json:"journalBytes"`
	SetUpP50      float64 `json:"setUpP50Ms"` // INVITE until both sides heard each other
	SetUpP99      float64 `json:"setUpP99Ms"`
	LoadCPU       float64 `json:"loadCpu"`           // of the load generator's cores
	LoadLate      float64 `json:"loadLateMs"`        // by how much it missed an instant at worst
	LoadSkipped   uint64  `json:"loadSkipped"`       // frames that it could not send in time, and left out
	Goroutines    int     `json:"goroutines"`        // of the server, while all talked
	Descriptors   int     `json:"descriptors"`       // likewise
	Available     int     `json:"recordings"`        // files that were made
	RenderSeconds float64 `json:"renderSeconds"`     // from the last hangup to the last file
	RenderDebt    float64 `json:"renderDebtSeconds"` // audio that was waiting for its file at the last hangup

	Audited        int    `json:"audited"`      // recordings read frame by frame
	AuditBlurred   uint64 `json:"auditBlurred"` // there, but stretched by a sample so that the mark cannot be read
	AuditLost      uint64 `json:"auditLost"`
	ReceiptLost    int64  `json:"receiptLost"` // packets that the receipts of the sample say never came, or were not kept
	AuditMisplaced uint64 `json:"auditMisplaced"`

	Renders int      `json:"renders,omitempty"` // files that were rendered beside the calls while they talked
	Reasons []string `json:"reasons,omitempty"` // why it was not held
}

// step starts a server, puts it under so many calls, and looks at what is left.
func step(ctx context.Context, o *Options, calls int, hold time.Duration) (s Step, err error) {
	p, err := start(ctx, o, o.data(fmt.Sprint(calls)))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s = Step{Calls: calls, HoldSeconds: hold.Seconds()}
	m := &meter{pid: p.cmd.Process.Pid, cores: o.ServerCores, loadCores: o.LoadCores, http: p.HTTP}
	defer m.end()
	beside := renderer{p: p}
	defer func() {
		made, failed := beside.end()
		s.Renders, err = made, errors.Join(err, failed)
	}()
	if o.rendering {
		if err := p.material(ctx, hold); err != nil {
			return s, errors.Join(err, p.said())
		}
	}
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: calls, Talk: hold, PerSecond: o.PerSecond, Talking: func(on bool) {
			m.talking(on)
			if on && o.rendering {
				beside.begin(ctx)
			} else if o.rendering {
				beside.stop()
			}
		},
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
	})
	if err != nil {
		return s, err
	}
	if err := p.inline(ctx, anyNumber, load.Callees().String(), !o.NoRecord); err != nil {
		return s, errors.Join(err, load.Close())
	}
	if m.idle, err = usageOf(m.pid); err != nil {
		return s, errors.Join(err, load.Close())
	}
	report, err := load.Run(ctx)
	if err = errors.Join(err, m.err); err != nil {
		return s, errors.Join(err, p.said())
	}
	s.wire(report)
	s.machine(o, m)
	if !o.NoRecord {
		if err := s.recordings(ctx, o, p, report); err != nil {
			return s, err
		}
	}
	s.judge(o, report)
	return s, nil
}

// wire takes over what was seen of the calls from outside.
func (s *Step) wire(r *callgen.LoadReport) {
	s.Connected, s.Broken = r.Connected, r.Broken
	s.Sent, s.Lost, s.Duplicate, s.CrossTalk = r.Sent, r.Lost, r.Duplicate, r.CrossTalk
	if s.Sent > 0 {
		s.Loss = float64(s.Lost) / float64(s.Sent)
	}
	s.P50, s.P99, s.P999 = ms(r.Latency.Quantile(0.5)), ms(r.Latency.Quantile(0.99)), ms(r.Latency.Quantile(0.999))
	s.SetUpP50, s.SetUpP99 = ms(r.SetUp.Quantile(0.5)), ms(r.SetUp.Quantile(0.99))
	s.LoadLate, s.LoadSkipped = ms(r.Late), r.Skipped
}

// recordings waits until every file is made, and reads a sample of them.
func (s *Step) recordings(ctx context.Context, o *Options, p *process, r *callgen.LoadReport) error {
	var err error
	if s.JournalBytes, err = p.journals(); err != nil {
		return err
	}
	ended := time.Now()
	all, err := p.finished(ctx, s)
	if err != nil {
		return err
	}
	s.RenderSeconds = time.Since(ended).Seconds()
	sample := min(o.Sample, len(all))
	if o.Sample < 0 {
		sample = len(all)
	}
	for i := range sample {
		rec := all[i*len(all)/sample]
		if rec.Status != client.RecordingStatusAvailable {
			continue
		}
		sides, err := p.sides(ctx, rec.ID)
		if err != nil {
			return err
		}
		a, err := r.Audit(sides)
		if err != nil {
			return fmt.Errorf("recording %s: %w", rec.ID, err)
		}
		receipt, err := p.api.Receipt(ctx, rec.ID)
		if err != nil {
			return err
		}
		for _, t := range receipt.Tracks {
			s.ReceiptLost += t.Lost
		}
		for _, g := range receipt.Gaps {
			s.ReceiptLost += int64(g.Lost)
		}
		s.Audited++
		s.AuditBlurred += a.Blurred
		s.AuditLost += a.Lost
		s.AuditMisplaced += a.Misplaced
	}
	return nil
}

// finished waits until nothing more will become of any recording, and lists them.
func (p *process) finished(ctx context.Context, s *Step) (all []client.Recording, err error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		if all, err = client.Collect(p.api.AllRecordings(ctx, client.ListRecordingsParams{Limit: 99}), 0); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(r client.Recording) bool { return slices.Contains(p.rendered, r.ID) })
		s.Available = 0
		waiting := 0.0
		for _, r := range all {
			switch {
			case r.Status == client.RecordingStatusAvailable:
				s.Available++
			case !r.Status.Final():
				waiting += s.seconds(r)
			}
		}
		if first {
			s.RenderDebt = waiting
		}
		if len(all) >= s.Connected && waiting == 0 {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// lookEvery is how often the recordings are looked at: looking costs the server
// time too.
const lookEvery = 200 * time.Millisecond

// seconds is about how much audio a recording holds whose file is not made.
func (s *Step) seconds(r client.Recording) float64 {
	if r.DurationMs > 0 {
		return float64(r.DurationMs) / 1000
	}
	return float64(s.Sent) / float64(max(1, s.Connected)) / 2 * frame.Seconds()
}

// frame is how much audio a frame of the load holds.
const frame = 20 * time.Millisecond

// sides fetches a recording and takes its sides apart.
func (p *process) sides(ctx context.Context, id client.RecordingID) ([][]int16, error) {
	var data bytes.Buffer
	if _, err := p.api.Audio(ctx, client.RecordingPath(id, client.AudioFormatWav), &data); err != nil {
		return nil, err
	}
	in, err := wav.NewReader(bytes.NewReader(data.Bytes()))
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", id, err)
	}
	f := in.Format()
	sides := make([][]int16, f.Channels)
	for buf := make([]int16, 4096*f.Channels); ; {
		n, err := in.Read(buf)
		for i, v := range buf[:n] {
			sides[i%f.Channels] = append(sides[i%f.Channels], v)
		}
		if errors.Is(err, io.EOF) {
			return sides, nil
		}
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", id, err)
		}
	}
}

// judge says whether the step was held, and why not.
func (s *Step) judge(o *Options, r *callgen.LoadReport) {
	no := func(format string, args ...any) { s.Reasons = append(s.Reasons, fmt.Sprintf(format, args...)) }
	if s.Connected < s.Calls {
		no("%d of %d calls came about; the first that did not: %v", s.Connected, s.Calls, first(r.Failures))
	}
	if s.Broken > 0 {
		no("%d calls ended by themselves", s.Broken)
	}
	// What was never sent was never relayed: the number of calls would be a lie.
	if s.LoadSkipped > s.Sent/1000 {
		no("the load left %d frames out, because it had no time for them", s.LoadSkipped)
	}
	if s.Loss > o.Limits.Loss {
		no("%.3f %% of the frames lost", 100*s.Loss)
	}
	if s.Duplicate+s.CrossTalk > 0 {
		no("%d frames twice, %d at the wrong party", s.Duplicate, s.CrossTalk)
	}
	if s.P99 > ms(o.Limits.Latency) {
		no("one way in %.1f ms at the 99th percentile", s.P99)
	}
	if s.CPU > o.Limits.CPU {
		no("%.0f %% of the server's cores used", 100*s.CPU)
	}
	if !o.NoRecord && s.Available != s.Connected {
		no("%d recordings of %d calls", s.Available, s.Connected)
	}
	// What is lost on the way to the server cannot be in a file; each frame that the
	// far party heard must be.
	if lost := max(s.AuditLost, uint64(s.ReceiptLost)); s.AuditMisplaced > 0 || lost > s.Lost {
		no("in %d files %d frames lost, %d misplaced", s.Audited, lost, s.AuditMisplaced)
	}
	s.Held = len(s.Reasons) == 0
}

func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// String is a line for a person.
func (s Step) String() string {
	verdict := "held"
	if !s.Held {
		verdict = "not held: " + strings.Join(s.Reasons, "; ")
	}
	return fmt.Sprintf("%d calls: loss %.4f %%, one way p50 %.2f p99 %.2f p99.9 %.2f ms, cpu %.0f %% (files %.0f %%, load %.0f %%, late %.1f ms, stolen %.1f %%, slowed %.0f %%), %.4f cpu-s/call-min, %.2f µs/packet, %d kB/call, set-up p99 %.0f ms; %s",
		s.Calls, 100*s.Loss, s.P50, s.P99, s.P999, 100*s.CPU, 100*s.RenderCPU, 100*s.LoadCPU, s.LoadLate, 100*s.Steal, 100*s.Slowed, s.CPUPerMinute, s.CPUPerPacket, s.RSSPerCall/1000, s.SetUpP99, verdict)
}
