package subtitle

import (
	"fmt"
	"strings"

	"tapedeck/internal/voice"
)

// Plain is one line for each segment; with two sides, each says which one spoke.
func Plain(segments []voice.Segment, stereo bool) []byte {
	var b strings.Builder
	for _, s := range segments {
		if stereo {
			b.WriteString(side(s.Channel) + ": ")
		}
		b.WriteString(line(s.Text) + "\n")
	}
	return []byte(b.String())
}

// SRT is SubRip, in UTF-8.
func SRT(segments []voice.Segment, stereo bool) []byte {
	var b strings.Builder
	for i, s := range segments {
		who := ""
		if stereo {
			who = side(s.Channel) + ": "
		}
		fmt.Fprintf(&b, "%d\n%s --> %s\n%s%s\n\n", i+1, clock(s.StartMs, ","), clock(s.EndMs, ","), who, line(s.Text))
	}
	return []byte(b.String())
}

// VTT is WebVTT; with two sides, each is a voice of its own.
func VTT(segments []voice.Segment, stereo bool) []byte {
	var b strings.Builder
	b.WriteString("WEBVTT\n\n")
	safe := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	for _, s := range segments {
		who := ""
		if stereo {
			who = "<v " + side(s.Channel) + ">"
		}
		fmt.Fprintf(&b, "%s --> %s\n%s%s\n\n", clock(s.StartMs, "."), clock(s.EndMs, "."), who, safe.Replace(line(s.Text)))
	}
	return []byte(b.String())
}

func side(channel int) string {
	if channel == 0 {
		return "left"
	}
	return "right"
}

// line makes one line of a text: an empty one would end a subtitle.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func clock(ms int64, point string) string {
	return fmt.Sprintf("%02d:%02d:%02d%s%03d", ms/3600000, ms/60000%60, ms/1000%60, point, ms%1000)
}
