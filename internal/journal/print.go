package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Print writes what the journal holds, for a person: header, control entries,
// packets when asked for, what is corrupt and where, and the sums. A journal
// with corrupt parts is printed and then returned as the first *CorruptError.
func Print(w io.Writer, r *Reader, packets bool) error {
	if err := r.Rewind(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	head, err := json.MarshalIndent(r.Header(), "", "  ")
	if err != nil {
		return fmt.Errorf("print journal: %w", err)
	}
	fmt.Fprintf(out, "%s\n%s\n\n", r.Path(), Visible(head))
	first, err := printEntries(out, r, packets)
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print journal: %w", err)
	}
	if first != nil {
		return first
	}
	return nil
}

// Visible is JSON with everything escaped that a terminal would obey or that
// would change how the rest looks, and that JSON lets through: DEL, the control
// characters U+0080 to U+009F, marks of the direction of writing. Names and
// numbers of parties come from the network.
func Visible(text []byte) string {
	var out strings.Builder
	for _, r := range string(text) {
		if r == '\n' || strconv.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

func printEntries(out io.Writer, r *Reader, packets bool) (first *CorruptError, err error) {
	var e Entry
	var bad *CorruptError
	kinds := map[Kind]int64{}
	tracks := map[uint16]int64{}
	for {
		err := r.Next(&e)
		switch {
		case errors.Is(err, io.EOF):
			printSums(out, r, kinds, tracks)
			return first, nil
		case errors.As(err, &bad):
			if first == nil {
				first = bad
			}
			fmt.Fprintf(out, "%14s  CORRUPT  %d bytes at offset %d: %v\n", "", bad.Length, bad.Offset, bad.Err)
			continue
		case err != nil:
			return first, err
		}
		if e.Repeat {
			continue
		}
		kinds[e.Kind]++
		if e.Kind == KindPacket {
			tracks[e.Track]++
		}
		if packets || e.Kind.Control() || e.Kind == KindDigit {
			printEntry(out, &e)
		}
	}
}

func printEntry(out io.Writer, e *Entry) {
	fmt.Fprintf(out, "%14s  %-14s", e.At.Round(time.Microsecond), e.Kind)
	switch {
	case e.Kind == KindPacket:
		p := &e.Packet
		mark := ""
		if p.Marker {
			mark = " marker"
		}
		fmt.Fprintf(out, "  track %d  seq %d  time %d  ssrc %08x  pt %d  %d bytes%s\n", e.Track, p.Seq, p.Time, p.SSRC, p.PT, len(p.Payload), mark)
	case e.Kind == KindSenderReport:
		s := &e.Report
		fmt.Fprintf(out, "  track %d  ssrc %08x  ntp %016x  time %d  packets %d  octets %d\n", e.Track, s.SSRC, s.NTP, s.RTPTime, s.Packets, s.Octets)
	case e.Kind == KindDigit:
		d := &e.Digit
		fmt.Fprintf(out, "  track %d  key %q  from %s  for %s  -%d dBm0\n", e.Track, d.Key, d.From.Round(time.Microsecond), d.Length, d.Volume)
	default:
		detail, err := json.Marshal(&e.Detail)
		if err != nil {
			detail = []byte(err.Error())
		}
		fmt.Fprintf(out, "  %s\n", Visible(detail))
	}
}

func printSums(out io.Writer, r *Reader, kinds map[Kind]int64, tracks map[uint16]int64) {
	s := r.Stats()
	fmt.Fprintf(out, "\n%d bytes, %d blocks, %d entries", r.Size(), s.Blocks, s.Entries)
	if s.Unknown > 0 {
		fmt.Fprintf(out, ", %d of kinds that this program does not know", s.Unknown)
	}
	fmt.Fprintln(out)
	for k := KindPacket; k <= lastKind; k++ {
		if kinds[k] > 0 {
			fmt.Fprintf(out, "%8d  %s\n", kinds[k], k)
		}
	}
	for n := range 1 << 16 {
		if c := tracks[uint16(n)]; c > 0 {
			fmt.Fprintf(out, "%8d  packets on track %d\n", c, n)
		}
	}
	switch {
	case kinds[KindBegin] == 0:
		fmt.Fprintln(out, "capture never began")
	case kinds[KindStop] == 0:
		fmt.Fprintln(out, "no end record: the recording goes on, or its node was lost")
	}
	if s.Corrupt > 0 {
		fmt.Fprintf(out, "%d corrupt parts, %d bytes in them\n", s.Corrupt, s.Lost)
	}
	if s.Torn > 0 {
		fmt.Fprintf(out, "%d bytes after the last good block (torn tail): repair removes them\n", s.Torn)
	}
}
