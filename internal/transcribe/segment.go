package transcribe

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/speech"
	"tapedeck/internal/voice"
)

// A segment is what a reader takes in at a glance.
const (
	gap         = 600 * time.Millisecond // between two words begins another one
	mostText    = 84                     // characters: two lines of subtitles
	longestText = 8 * time.Second
	mostSummary = 200 // characters
)

// segments makes segments of the words of a piece.
func segments(p piece, channel int, words []speech.Word) []voice.Segment {
	var out []voice.Segment
	var last time.Duration // end of the word before
	for _, w := range words {
		text := strings.Join(strings.Fields(w.Text), " ")
		if text == "" {
			continue
		}
		if w.End <= w.Start { // an engine that tells no times
			w.Start, w.End = 0, p.clip.Duration()
		}
		begin, end := (p.start + w.Start).Milliseconds(), (p.start + w.End).Milliseconds()
		if n := len(out); n > 0 && w.Start-last < gap && len(out[n-1].Text)+1+len(text) <= mostText &&
			end-out[n-1].StartMs <= longestText.Milliseconds() {
			out[n-1].Text += " " + text
			out[n-1].EndMs = max(out[n-1].EndMs, end)
		} else {
			out = append(out, voice.Segment{Channel: channel, StartMs: begin, EndMs: end, Text: text})
		}
		last = w.End
	}
	return out
}

// sorted puts the segments of all channels into one order.
func sorted(all []voice.Segment) []voice.Segment {
	slices.SortStableFunc(all, func(a, b voice.Segment) int {
		return cmp.Or(cmp.Compare(a.StartMs, b.StartMs), cmp.Compare(a.Channel, b.Channel))
	})
	return all
}

// summary is how it begins.
func summary(all []voice.Segment) string {
	var b strings.Builder
	for _, s := range all {
		for _, word := range strings.Fields(s.Text) {
			if b.Len()+1+len(word) > mostSummary {
				return b.String() + "…"
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(word)
		}
	}
	return b.String()
}
