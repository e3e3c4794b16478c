package calltest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// BenchmarkRecordedCalls holds bridged calls, recorded in stereo, on one core
// for a minute: "make load". LOAD_CALLS and LOAD_TALK change how many and how
// long. The server is pinned to core 0; make pins this process to the others.
// It fails when a packet is lost on the way or in a recording.
func BenchmarkRecordedCalls(b *testing.B) {
	calls, talk := fromEnv(b, "LOAD_CALLS", 200), time.Duration(fromEnv(b, "LOAD_TALK", 60))*time.Second
	testkit.Timeout(b, 3*talk+5*time.Minute)
	for range b.N {
		recordedCalls(b, calls, talk)
	}
}

func fromEnv(b testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func recordedCalls(b *testing.B, calls int, talk time.Duration) {
	p := Serve(b, Build(b))
	pin(b, p.PID(), "0")
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: calls, Talk: talk, PerSecond: 50,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
	})
	if err != nil {
		b.Fatal(err)
	}
	p.InlineRecorder(b, load.Callees().Port())
	before, from := cpuTime(b, p.PID()), time.Now()
	report, err := load.Run(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	used, took := cpuTime(b, p.PID())-before, time.Since(from)
	for _, failure := range report.Failures {
		b.Error(failure)
	}
	if report.Connected != calls || report.Lost+report.Duplicate+report.CrossTalk > 0 {
		b.Errorf("%d of %d calls; of %d frames %d lost, %d twice, %d to the wrong party",
			report.Connected, calls, report.Sent, report.Lost, report.Duplicate, report.CrossTalk)
	}
	rss := memory(b, p.PID())
	lost, short := recordedFrames(b, p, calls, talk)
	b.ReportMetric(float64(calls), "calls")
	b.ReportMetric(float64(report.Sent), "frames")
	b.ReportMetric(float64(report.Lost), "lost")
	b.ReportMetric(float64(lost), "lost-in-recordings")
	b.ReportMetric(float64(short), "short-recordings")
	b.ReportMetric(used.Seconds()/(float64(calls)*took.Minutes()), "cpu-s/call-min")
	b.ReportMetric(100*used.Seconds()/took.Seconds(), "%core")
	b.ReportMetric(float64(report.Latency.Quantile(0.5).Microseconds()), "p50-µs")
	b.ReportMetric(float64(report.Latency.Quantile(0.99).Microseconds()), "p99-µs")
	b.ReportMetric(float64(rss)/float64(calls)/1000, "kB-rss/call")
}

// recordedFrames adds up what the receipts say is lost, and counts the
// recordings that are not there or lack frames of the talk.
func recordedFrames(b *testing.B, p *Program, calls int, talk time.Duration) (lost, short int) {
	token := ""
	seen := 0
	for {
		var page struct {
			Results       []Recording
			NextPageToken string
		}
		p.Do(b, http.MethodGet, p.workspacePath()+"/recordings?limit=99&pageToken="+token, "", http.StatusOK, &page)
		for _, r := range page.Results {
			seen++
			p.AwaitRecording(b, r.ID, "available")
			var receipt struct {
				Complete bool
				Gaps     []struct{}
				Tracks   []struct{ Received, Lost int }
			}
			p.Do(b, http.MethodGet, p.workspacePath()+"/recordings/"+r.ID+"/receipt", "", http.StatusOK, &receipt)
			if !receipt.Complete || len(receipt.Gaps) > 0 || len(receipt.Tracks) != 2 {
				short++
			}
			for _, track := range receipt.Tracks {
				lost += track.Lost
				if track.Received < int(talk/(20*time.Millisecond)) {
					short++
				}
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if seen != calls || lost+short > 0 {
		b.Errorf("%d recordings of %d; %d packets lost in them, %d short", seen, calls, lost, short)
	}
	return lost, short
}

// pin keeps every thread of a process, and those to come, on the cores.
func pin(b testing.TB, pid int, cores string) {
	b.Helper()
	run(b, "taskset", "-a", "-c", "-p", cores, strconv.Itoa(pid))
}

// cpuTime is what a process has used of the CPU, user and system (proc(5)).
func cpuTime(b testing.TB, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	user, err := strconv.Atoi(f[11])
	if err != nil {
		b.Fatal(err)
	}
	system, err := strconv.Atoi(f[12])
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}

// memory is the resident memory of a process in bytes.
func memory(b testing.TB, pid int) int {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
