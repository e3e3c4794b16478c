package calltest

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestCallFlows lets sipp run 500 call flows a minute and looks at how each one
// ended, and at what is left of them when they are over: "make flows" does it for
// FLOWS_SECONDS (120) with the server on core FLOWS_CORE (0).
func TestCallFlows(t *testing.T) {
	seconds := fromEnv(t, "FLOWS_SECONDS", 6)
	testkit.Timeout(t, time.Duration(seconds)*time.Second+5*time.Minute)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	f := &flows{t: t, Program: Serve(t, Build(t), "--log-level", "warn"), temporary: temporary}
	if core := os.Getenv("FLOWS_CORE"); core != "" {
		pin(t, f.PID(), core)
	}
	f.keys = testkit.WriteFile(t, t.TempDir(), "keys.csv", "SEQUENTIAL\n4;2;\n1;3;\n")
	f.newChannel()

	f.run(4) // what is made once is made now
	before := f.least()
	used, from, n := cpuTime(t, f.PID()), time.Now(), seconds*flowsPerMinute/60
	f.run(n)
	cpu, took := cpuTime(t, f.PID())-used, time.Since(from)
	f.judge(4 + n)
	after := f.settled(before)
	slices.Sort(f.took)
	t.Logf("FLOWS|%d|%d|%.0f|%d|%.0f %%|%v|%v|%d → %d|%d → %d|%d → %d|%.0f MB", n, flowsPerMinute, took.Seconds(), f.good-4,
		100*cpu.Seconds()/took.Seconds(), f.took[len(f.took)/2], f.took[len(f.took)*99/100],
		before.goroutines, after.goroutines, before.descriptors, after.descriptors, len(before.files), len(after.files),
		float64(memory(t, f.PID()))/1e6)
}

// flowsPerMinute is how many begin.
const flowsPerMinute = 500

// flows is a server with a channel whose callers are asked for a code.
type flows struct {
	*Program
	t                        *testing.T
	channel, keys, temporary string
	good                     int             // that ended as they must
	took                     []time.Duration // each call, from the INVITE to its end
}

const flowsNumber = "7700"

func (f *flows) newChannel() {
	f.t.Helper()
	sounds := map[string]string{}
	for name, hz := range map[string]float64{"right": 600, "wrong": 300} {
		path := filepath.Join(f.t.TempDir(), "sound.wav")
		writeWAV(f.t, path, sweep(1, hz, 2*hz))
		data, err := os.ReadFile(path) //nolint:gosec // it was written just now
		if err != nil {
			f.t.Fatal(err)
		}
		var out struct{ ID string }
		f.Do(f.t, http.MethodPost, f.workspacePath()+"/media?name="+name, string(data), http.StatusCreated, &out)
		sounds[name] = out.ID
	}
	var out struct{ ID string }
	f.Do(f.t, http.MethodPost, f.workspacePath()+"/channels", fmt.Sprintf(`{"name":"code","number":%q,"inbound":{"callFlow":[
		{"command":"gather","options":{"endKey":"#","timeout":10,"say":{"text":"please type your code and then the pound key"}}},
		{"command":"playback","options":{"media":["media:%s"]},"conditions":[{"variable":"keys","operator":"eq","value":"42"}]},
		{"command":"playback","options":{"media":["media:%s"]},"conditions":[{"variable":"keys","operator":"ne","value":"42"}]},
		{"command":"hangup"}]}}`, flowsNumber, sounds["right"], sounds["wrong"]), http.StatusCreated, &out)
	f.channel = out.ID
}

// run lets sipp make so many calls, and waits until they are over.
func (f *flows) run(n int) {
	f.t.Helper()
	Sipp(f.t, "flow.xml", make([]byte, 8000), f.SIP, "-s", flowsNumber, "-inf", f.keys,
		"-r", strconv.Itoa(flowsPerMinute), "-rp", "60000", "-m", strconv.Itoa(n), "-l", "500", "-timeout", "300s").
		Wait(f.t, time.Duration(n)*time.Minute/flowsPerMinute+2*time.Minute)
}

// flowCall is what the API shows of a call.
type flowCall struct {
	ID, Status, HangupSource string
	CreatedAt, EndedAt       time.Time
	Commands                 []struct {
		Command, Status, Reason string
		Keys                    *string
	}
}

// judge reads all calls back and compares what became of them with what must.
func (f *flows) judge(want int) {
	f.t.Helper()
	seen, right := 0, 0
	for token := ""; ; {
		var page struct {
			Results       []flowCall
			NextPageToken string
		}
		f.Do(f.t, http.MethodGet, f.workspacePath()+"/channels/"+f.channel+"/calls?limit=500&pageToken="+token, "", http.StatusOK, &page)
		for i := range page.Results {
			c := &page.Results[i]
			seen++
			keys, ended := outcome(c)
			switch {
			case ended == "completed api gather completed, playback completed, playback skipped, hangup completed" && keys == "42":
				right++
				f.good++
			case ended == "completed api gather completed, playback skipped, playback completed, hangup completed" && keys == "13":
				f.good++
			default:
				f.t.Errorf("call %s with keys %q is %s", c.ID, keys, ended)
			}
			f.took = append(f.took, c.EndedAt.Sub(c.CreatedAt))
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if seen != want || right != (want+1)/2 {
		f.t.Errorf("there are %d calls, of which %d had the right code; want %d and %d", seen, right, want, (want+1)/2)
	}
}

// outcome says in one line how a call and its commands ended.
func outcome(c *flowCall) (keys, ended string) {
	var all []string
	for _, one := range c.Commands {
		if one.Keys != nil {
			keys = *one.Keys
		}
		all = append(all, one.Command+" "+one.Status)
	}
	return keys, c.Status + " " + c.HangupSource + " " + strings.Join(all, ", ")
}

// holdings is what a process holds.
type holdings struct {
	goroutines, descriptors int
	files                   []string
}

func (f *flows) holdings() (h holdings) {
	f.t.Helper()
	f.client.CloseIdleConnections()
	h.goroutines, h.descriptors = f.gauge(f.t, "go_goroutines"), len(f.descriptors())
	h.files = append(f.list(f.Data), f.list(f.temporary)...)
	return h
}

// list is everything below a directory.
func (f *flows) list(dir string) (out []string) {
	f.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil && !os.IsNotExist(err) { // it went while we looked
			return err
		}
		out = append(out, path)
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// least is the least that the server holds in a while: who asks it how much that is
// makes it hold more.
func (f *flows) least() holdings {
	f.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	least := f.holdings()
	for range 20 {
		<-tick.C
		now := f.holdings()
		least.goroutines, least.descriptors = min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors)
		least.files = now.files
	}
	return least
}

// settled waits until the server holds no more than before, and tells what it holds
// if that does not come about.
func (f *flows) settled(before holdings) holdings {
	f.t.Helper()
	var now holdings
	if !eventually(time.Minute, func() bool {
		now = f.least()
		return now.goroutines <= before.goroutines && now.descriptors <= before.descriptors && slices.Equal(now.files, before.files)
	}) {
		more := slices.DeleteFunc(slices.Clone(now.files), func(file string) bool { return slices.Contains(before.files, file) })
		f.t.Errorf("it held %d goroutines and %d descriptors, and holds %d and %d; files that are left: %q",
			before.goroutines, before.descriptors, now.goroutines, now.descriptors, more)
		f.t.Logf("open are:\n%s", strings.Join(f.descriptors(), "\n"))
	}
	return now
}

// descriptors names what is open, but for the database: its connections are few, and
// one that was needed once is kept for the next time.
func (f *flows) descriptors() (out []string) {
	for _, path := range f.list(fmt.Sprintf("/proc/%d/fd", f.PID())) {
		target, err := os.Readlink(path)
		if err != nil || strings.Contains(target, "/tapedeck.db") {
			continue // it was closed meanwhile
		}
		out = append(out, target)
	}
	return out
}
