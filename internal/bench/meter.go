package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// meter reads what the server, this process and the machine use while all calls
// talk.
type meter struct {
	pid       int
	cores     []int // of the server
	loadCores []int
	http      string // where the server tells its metrics; "" = nowhere

	idle     usage
	from, to usage
	own      [2]usage // of this process
	core     [2]coreTimes
	loadCore [2]coreTimes
	state    sizes
	pace     *pace
	slowed   float64
	at       time.Time
	took     time.Duration
	err      error
}

// sizes are what must not grow.
type sizes struct {
	rss                     int64 // bytes
	goroutines, descriptors int
}

func (m *meter) talking(on bool) {
	if on {
		m.at, m.pace = time.Now(), startPace(m.cores)
	} else {
		m.took = time.Since(m.at)
		m.slowed = m.pace.slowed()
		m.pace = nil
	}
	i, u := 0, &m.from
	if !on {
		i, u = 1, &m.to
	}
	for _, read := range []func() error{
		func() (err error) { *u, err = usageOf(m.pid); return err },
		func() (err error) { m.own[i], err = usageOf(os.Getpid()); return err },
		func() (err error) { m.core[i], err = coreTimesOf(m.cores); return err },
		func() (err error) { m.loadCore[i], err = coreTimesOf(m.loadCores); return err },
	} {
		m.err = errors.Join(m.err, read())
	}
	if !on {
		// What it costs to ask is not in the figures any more.
		var err error
		m.state, err = sizesOf(context.Background(), m.pid, m.http)
		m.err = errors.Join(m.err, err)
	}
}

// end ends what looks at the cores, where the talking did not come to its end.
func (m *meter) end() {
	if m.pace != nil {
		m.pace.slowed()
		m.pace = nil
	}
}

// machine takes over what was used.
func (s *Step) machine(o *Options, m *meter) {
	if m.took <= 0 || s.Connected == 0 {
		return
	}
	used, others, took := m.to.cpu-m.from.cpu, m.to.others-m.from.others, m.took.Seconds()
	s.CPU = used.Seconds() / took / float64(len(o.ServerCores))
	s.RenderCPU = others.Seconds() / took / float64(len(o.ServerCores))
	s.CPUPerMinute = (used + others).Seconds() / (float64(s.Connected) * m.took.Minutes())
	if through := s.Sent - s.Lost; through > 0 {
		s.CPUPerPacket = float64(used.Microseconds()) / float64(through)
	}
	s.RSSPerCall = (m.to.rss - m.idle.rss) / int64(s.Connected)
	s.LoadCPU = (m.own[1].cpu - m.own[0].cpu).Seconds() / took / float64(len(o.LoadCores))
	s.CoreBusy, s.Steal = m.core[1].since(m.core[0])
	_, s.LoadSteal = m.loadCore[1].since(m.loadCore[0])
	s.Slowed = m.slowed
	s.Goroutines, s.Descriptors = m.state.goroutines, m.state.descriptors
}

// coreTimes are what proc(5) counts for some cores together, in ticks.
type coreTimes struct{ all, idle, steal int64 }

// since are the shares of the time since then in which the cores were busy, and
// in which the host had given them to others.
func (c coreTimes) since(then coreTimes) (busy, steal float64) {
	all := float64(c.all - then.all)
	if all <= 0 {
		return 0, 0
	}
	steal = float64(c.steal-then.steal) / all
	return 1 - float64(c.idle-then.idle)/all - steal, steal
}

// parseCores adds up the lines of /proc/stat of some cores.
func parseCores(stat []byte, cores []int) (c coreTimes, err error) {
	want := map[string]bool{}
	for _, core := range cores {
		want["cpu"+strconv.Itoa(core)] = true
	}
	for line := range bytes.Lines(stat) {
		f := strings.Fields(string(line))
		const idle, wait, steal = 4, 5, 8 // proc(5)
		if len(f) <= steal || !want[f[0]] {
			continue
		}
		for i, text := range f[1 : steal+1] {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return c, fmt.Errorf("read what %s did: %w", f[0], err)
			}
			c.all += n
			switch i + 1 {
			case idle, wait:
				c.idle += n
			case steal:
				c.steal += n
			}
		}
	}
	return c, nil
}

const metricsPatience = 10 * time.Second

// goroutinesOf asks the server how many goroutines it has.
func goroutinesOf(ctx context.Context, server string) (n int, err error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: metricsPatience}).Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the server's metrics: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	in := bufio.NewScanner(io.LimitReader(res.Body, 1<<20))
	for in.Scan() {
		if text, found := strings.CutPrefix(in.Text(), "go_goroutines "); found {
			return strconv.Atoi(text)
		}
	}
	return 0, errors.Join(errors.New("the server's metrics do not tell its goroutines"), in.Err())
}
