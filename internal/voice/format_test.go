package voice

import (
	"mime"
	"testing"
)

func TestAudioFormats(t *testing.T) {
	for _, f := range AudioFormats() {
		for _, name := range []string{string(f), f.Extension(), "." + string(f[:1]) + "X"} {
			got, err := ParseAudioFormat(name)
			if (err == nil) != (name[len(name)-1] != 'X') || err == nil && got != f {
				t.Errorf("ParseAudioFormat(%q) = %q, %v", name, got, err)
			}
		}
		if kind, _, err := mime.ParseMediaType(f.ContentType()); err != nil || kind[:6] != "audio/" {
			t.Errorf("%s is sent as %q: %v", f, f.ContentType(), err)
		}
		if f.Lossless() != (f == "wav" || f == "flac") {
			t.Errorf("%s is lossless: %t", f, f.Lossless())
		}
	}
	if got, err := ParseAudioFormat(".MP3"); got != FormatMP3 || err != nil {
		t.Errorf(".MP3 is %q, %v", got, err)
	}
	for _, name := range []string{"", ".", "wave", "mp", "opus", "json", "..wav"} {
		if got, err := ParseAudioFormat(name); err == nil || got.ContentType() != "" {
			t.Errorf("%q is taken for %q", name, got)
		}
	}
}
