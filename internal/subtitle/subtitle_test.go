package subtitle

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/voice"
)

func said() []voice.Segment {
	return []voice.Segment{
		{Channel: 0, StartMs: 340, EndMs: 2120, Text: "hello this is\n\nanna"},
		{Channel: 1, StartMs: 2000, EndMs: 3999, Text: "a < b & b > c --> \u00fcber"},
		{Channel: 0, StartMs: 3723004, EndMs: 3724000, Text: "goodbye"},
	}
}

func TestGolden(t *testing.T) {
	for name, got := range map[string][]byte{
		"mono.txt": Plain(said(), false), "stereo.txt": Plain(said(), true),
		"mono.srt": SRT(said(), false), "stereo.srt": SRT(said(), true),
		"mono.vtt": VTT(said(), false), "stereo.vtt": VTT(said(), true), "none.vtt": VTT(nil, true),
	} {
		path := filepath.Join("testdata", name)
		if os.Getenv("GOLDEN") != "" {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	if len(Plain(nil, false)) != 0 || len(SRT(nil, false)) != 0 {
		t.Error("nothing said, and there is something")
	}
}
