package verify

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	if r.Verified {
		fmt.Fprintf(&b, "VERIFIED: %s is what its receipt says.\n", clean(r.File))
	} else {
		fmt.Fprintf(&b, "NOT VERIFIED: %s\n", clean(r.File))
	}
	for _, f := range r.Findings {
		if f.Agree {
			fmt.Fprintf(&b, "  ok     %-10s %s\n", f.What, clean(f.Says))
		} else {
			fmt.Fprintf(&b, "  WRONG  %-10s receipt: %s\n  %-6s %-10s found:   %s\n", f.What, clean(f.Says), "", "", clean(f.Is))
		}
	}
	if r.KeyID != "" && !r.KeyGiven {
		fmt.Fprintf(&b, "\nThe key is the one that the receipt names itself. That it is your server's, only you can tell:\n"+
			"compare the fingerprint %s with `tapedeck receipt-key --as fingerprint`,\nor give the key with --key.\n", r.KeyID)
	}
	if len(r.Summary) > 0 {
		says := "The receipt says:"
		if r.KeyID == "" {
			says = "The receipt, which cannot be trusted, says:"
		}
		fmt.Fprintf(&b, "\n%s\n", says)
		for _, line := range r.Summary {
			fmt.Fprintf(&b, "  %s\n", clean(line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Faults lists what does not agree, by name; empty when verified.
func (r *Report) Faults() []string {
	var out []string
	for _, f := range r.Findings {
		if !f.Agree {
			out = append(out, f.What)
		}
	}
	return out
}

// Summary says in words what a receipt says of its recording: how long it is,
// whether everything is in it, and what is not.
func Summary(r *render.Receipt) []string {
	out := []string{
		fmt.Sprintf("recording %s of call %s, %s long, from %s to %s", r.Recording, r.Call, r.Duration(),
			r.Start.UTC().Format(time.RFC3339), r.End.UTC().Format(time.RFC3339)),
		ending(r.EndCause),
		completeness(r),
	}
	if r.Swapped {
		out = append(out, "left and right are exchanged, as a rendering asked for")
	}
	if r.Masked {
		out = append(out, "no key that a party pressed was kept")
	}
	for i := range r.Tracks {
		out = append(out, track(r, &r.Tracks[i])...)
	}
	if n := int64(len(r.Pauses)) + r.MorePauses; n > 0 {
		out = append(out, pauses(r, n))
	}
	return out
}

// ending says why capture ended.
func ending(c voice.EndCause) string {
	why := map[voice.EndCause]string{
		"":                     "it was still going on when this receipt was made",
		voice.EndCallEnded:     "it ended with the call",
		voice.EndMaxLength:     "it ended at the longest length that was asked for",
		voice.EndStopped:       "it was stopped by request",
		voice.EndNotAnswered:   "the call was not answered",
		voice.EndNoMedia:       "it ended because no media came any more",
		voice.EndNodeLost:      "it ended because the server went down: what came in the last second before may be missing",
		voice.EndStorageFailed: "it ended because the disk failed",
		voice.EndDeleted:       "it was deleted",
	}[c]
	if why == "" {
		why = fmt.Sprintf("it ended with the cause %q", c)
	}
	return why
}

// completeness says whether everything that arrived is in the file.
func completeness(r *render.Receipt) string {
	if r.Complete {
		return "complete: everything that reached the server while it recorded is in the file"
	}
	var why []string
	// Of gaps that are not listed nobody knows the kind; the first ones stand for
	// them. Damage is told below, from the journal's own account.
	slow := r.MoreGaps
	var lost uint64
	for _, g := range r.Gaps {
		switch {
		case g.Tail:
			why = append(why, "what came after its end never reached the disk")
		case !g.Damaged:
			slow++
			lost += g.Lost
		}
	}
	if slow > 0 {
		least := ""
		if r.MoreGaps > 0 {
			least = "at least "
		}
		why = append(why, fmt.Sprintf("%s in which the disk was too slow, %s%s lost", count(slow, "gap"), least, count(int64(lost), "packet")))
	}
	if j := r.Journal; j.CorruptParts > 0 {
		why = append(why, fmt.Sprintf("%s of the journal damaged, %s", count(j.CorruptParts, "part"), count(j.CorruptBytes, "byte")))
	}
	if j := r.Journal; j.TornBytes > 0 {
		why = append(why, fmt.Sprintf("the journal's end cut off, %s", count(j.TornBytes, "byte")))
	}
	if len(why) == 0 {
		why = append(why, "capture did not end in good order")
	}
	return "NOT complete: " + strings.Join(why, "; ")
}

// track says what became of what one party sent.
func track(r *render.Receipt, t *render.TrackReceipt) []string {
	side := "both"
	if r.Channels == 2 {
		side = [2]string{"left", "right"}[min(max(t.Side, 0), 1)]
	}
	who := fmt.Sprintf("%s, %s %s: ", side, t.Role, t.Party)
	if r.Channels != 2 {
		who = fmt.Sprintf("%s %s: ", t.Role, t.Party)
	}
	if t.Uncertain {
		who += "(whose voice this is stood in a damaged part of the journal) "
	}
	if t.NoMedia {
		return []string{who + "no audio came from this party"}
	}
	line := who + count(t.Received, "packet")
	if t.Lost > 0 {
		line += fmt.Sprintf(", %d never arrived (%.2f %%)", t.Lost, 100*float64(t.Lost)/float64(max(t.Lost+t.Received, 1)))
	} else {
		line += ", none lost on the network"
	}
	if t.ConcealedMs > 0 {
		line += fmt.Sprintf("; %s made up for lost packets (concealed)", ms(t.ConcealedMs))
	}
	if t.OverlaidMs > 0 {
		line += fmt.Sprintf("; %s covered by other audio of the same time", ms(t.OverlaidMs))
	}
	for _, odd := range []struct {
		n    int64
		what string
	}{{t.Late, "late but in place"}, {t.Duplicate, "duplicate"}, {t.Stray, "stray, left out"}, {t.Undecodable, "not decodable"}} {
		if odd.n > 0 {
			line += fmt.Sprintf("; %d %s", odd.n, odd.what)
		}
	}
	out := []string{line}
	if u := t.Unheard; u != nil {
		out = append(out, fmt.Sprintf("  beside them %s came to this party's ports: %d from strangers, %d malformed, %d of a payload type that was not agreed on, %d more than could be taken",
			count(int64(u.Foreign+u.Malformed+u.Unknown+u.Overflow), "datagram"), u.Foreign, u.Malformed, u.Unknown, u.Overflow))
	}
	if t.SilenceMs > 0 {
		out = append(out, "  silent for "+ms(t.SilenceMs)+reasons(r, t))
	}
	return out
}

// reasons says how much of a track's silence is why.
func reasons(r *render.Receipt, t *render.TrackReceipt) string {
	sums := map[render.SilenceReason]int64{}
	for _, s := range t.Silence {
		sums[s.Reason] += s.Length
	}
	words := []struct {
		reason render.SilenceReason
		text   string
	}{
		{render.SilenceNoPackets, "nothing was sent or arrived"}, {render.SilenceNotBridged, "not connected"},
		{render.SilencePaused, "paused"}, {render.SilenceUndecodable, "not decodable"},
		{render.SilenceComfortNoise, "comfort noise"}, {render.SilenceNotRecorded, "perhaps not kept"},
	}
	var parts []string
	for _, w := range words {
		if n := sums[w.reason]; n > 0 && r.SampleRate > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", ms(n*1000/int64(r.SampleRate)), w.text))
		}
	}
	if t.MoreSilence > 0 {
		parts = append(parts, fmt.Sprintf("the rest in %s not listed", count(t.MoreSilence, "span")))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// clean takes out what a terminal would obey: names in a receipt are what callers
// called themselves.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, text)
}

// pauses says how long nothing was recorded by request.
func pauses(r *render.Receipt, n int64) string {
	var length, kept int64
	open := ""
	for _, p := range r.Pauses {
		length += p.EndMs - p.StartMs
		if p.Behavior != voice.PauseSkip {
			kept++
		}
		if p.Open {
			open = "; the recording ended paused"
		}
	}
	in := "silence in the file"
	switch {
	case kept == 0:
		in = "left out of the file"
	case kept < int64(len(r.Pauses)):
		in = "partly silence in the file, partly left out"
	}
	return fmt.Sprintf("paused by request %s, %s together, %s%s", count(n, "time"), ms(length), in, open)
}

func ms(n int64) string { return (time.Duration(n) * time.Millisecond).String() }

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
