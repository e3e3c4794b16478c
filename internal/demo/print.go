package demo

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"
)

// Print writes the report for a person.
func (r *Result) Print(w io.Writer) {
	line := func(name, format string, a ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, a...))
	}
	line("server", "http %s, sip %s", r.Ready.HTTP, r.Ready.SIP)
	line("call", "caller %s → server → callee %s, conversation %q", callerName, calleeName, r.Conversation)
	line("recording", "%s", r.Path)
	line("length", "%.3f s, %d Hz, 2 channels; from command to hangup %.3f to %.3f s; there %d ms after the hangup",
		r.Length.Seconds(), r.rate, r.Shortest.Seconds(), r.Longest.Seconds(), r.AvailableAfter.Milliseconds())
	for i, s := range r.Sides {
		line([2]string{"left", "right"}[i], "%s, %.1f dBFS RMS, %.1f dBFS peak; correlation with what was said %.4f; cross-talk %s",
			s.Name, s.Level.RMS, s.Level.Peak, s.Correlation, decibel(s.CrossTalk))
	}
	line("offset", "%.3f ms between left and right, who began to speak within %.3f ms",
		milliseconds(r.Offset), milliseconds((r.began[1] - r.began[0]).Abs()))
	for _, t := range r.Receipt.Tracks {
		line("receipt", "%s (%s): %d packets, %d lost, %d late, %d duplicate, %d ms concealed", t.Party, t.Role, t.Received, t.Lost, t.Late, t.Duplicate, t.ConcealedMs)
	}
	complete := "complete"
	if !r.Receipt.Complete {
		complete = "NOT complete"
	}
	line("", "%s, ended by %s, SHA-256 %s…; %s", complete, r.Receipt.EndCause, r.Hash[:16], r.ReceiptPath)
	proof := "NOT verified: " + strings.Join(r.Proof.Faults(), ", ")
	if r.Proof.Verified {
		proof = fmt.Sprintf("file and receipt are as key %s signed them", r.Proof.KeyID)
	}
	line("verified", "%s", proof)
	line("", "again: tapedeck recording verify --key %s %s %s", quoted(r.KeyPath), quoted(r.Path), quoted(r.ReceiptPath))
	if r.Data != "" {
		line("data", "%s", r.Data)
	}
	fmt.Fprintln(w)
	for i := range r.lanes {
		name := ""
		for n, row := range lane(r.lanes[i], laneColumns, laneRows) {
			if n == laneRows-1 {
				name = r.Sides[i].Name
			}
			fmt.Fprintf(w, "%-10s %s\n", name, row)
		}
	}
	fmt.Fprintf(w, "%-10s 0%*s\n", "", laneColumns-1, fmt.Sprintf("%.1f s", r.Length.Seconds()))
}

// plain are the characters of a path that mean nothing to a shell.
var plain = regexp.MustCompile(`^[\w./:@%+=,-]+$`)

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func decibel(v float64) string {
	if math.IsInf(v, -1) {
		return "none"
	}
	return fmt.Sprintf("%.1f dB", v)
}

// The size of a lane at the terminal.
const (
	laneColumns = 68
	laneRows    = 2
)

// lane draws the level of a signal as rows of bars, the top row first. The scale
// is linear in decibels, from -54 dBFS up.
func lane(pcm []int16, columns, rows int) []string {
	const floor = -54.0
	bars := []rune(" ▁▂▃▄▅▆▇█")
	steps := len(bars) - 1
	out := make([]strings.Builder, rows)
	for c := range columns {
		height := 0
		if part := pcm[c*len(pcm)/columns : (c+1)*len(pcm)/columns]; len(part) > 0 {
			if level := rms(part); level > floor {
				height = max(1, int(math.Round((1-level/floor)*float64(rows*steps))))
			}
		}
		for r := range rows {
			fill := min(max(height-(rows-1-r)*steps, 0), steps)
			out[r].WriteRune(bars[fill])
		}
	}
	rowsOut := make([]string, rows)
	for i := range out {
		rowsOut[i] = out[i].String()
	}
	return rowsOut
}

func rms(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))/(32768*32768))
}
