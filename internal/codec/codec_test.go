package codec_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/codec/codectest"
)

func TestG711(t *testing.T) {
	for _, name := range []string{codec.PCMU, codec.PCMA} {
		t.Run(name, func(t *testing.T) {
			info, ok := codec.Lookup(name, 8000)
			if !ok {
				t.Fatal("not found")
			}
			codectest.Run(t, codectest.Options{Info: info, MinSNR: 36})
		})
	}
}

func TestLookup(t *testing.T) {
	for _, test := range []struct {
		name  string
		clock int
		want  codec.Info
		ok    bool
	}{
		{"PCMU", 8000, codec.Info{Name: "PCMU", PT: 0, ClockRate: 8000, SampleRate: 8000, Channels: 1}, true},
		{"pcma", 0, codec.Info{Name: "PCMA", PT: 8, ClockRate: 8000, SampleRate: 8000, Channels: 1}, true},
		{"G722", 8000, codec.Info{Name: "G722", PT: 9, ClockRate: 8000, SampleRate: 16000, Channels: 1}, true},
		{"OPUS", 48000, codec.Info{Name: "opus", PT: 111, ClockRate: 48000, SampleRate: 48000, Channels: 2}, true},
		{"telephone-event", 48000, codec.Info{Name: "telephone-event", PT: 110, ClockRate: 48000, SampleRate: 48000, Channels: 1}, true},
		{"PCMU", 16000, codec.Info{}, false},
		{"speex", 8000, codec.Info{}, false},
		{"", 0, codec.Info{}, false},
	} {
		got, ok := codec.Lookup(test.name, test.clock)
		if got != test.want || ok != test.ok {
			t.Errorf("Lookup(%q, %d) = %+v, %t", test.name, test.clock, got, ok)
		}
	}
}

func TestLookupStatic(t *testing.T) {
	for pt, want := range map[uint8]string{0: "PCMU", 8: "PCMA", 9: "G722", 11: "L16", 13: "CN"} {
		if got, ok := codec.LookupStatic(pt); !ok || got.Name != want {
			t.Errorf("LookupStatic(%d) = %+v, %t", pt, got, ok)
		}
	}
	for _, pt := range []uint8{1, 18, 96, 101, 111, 127} {
		if got, ok := codec.LookupStatic(pt); ok {
			t.Errorf("LookupStatic(%d) = %+v, want none", pt, got)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, name := range []string{codec.Opus, codec.Event, codec.CN} {
		info, _ := codec.Lookup(name, 0)
		if _, err := codec.NewDecoder(info); !errors.Is(err, codec.ErrUnsupported) {
			t.Errorf("decoder of %s: %v", name, err)
		}
		if _, err := codec.NewEncoder(info); !errors.Is(err, codec.ErrUnsupported) {
			t.Errorf("encoder of %s: %v", name, err)
		}
	}
}

func TestAudio(t *testing.T) {
	for name, want := range map[string]bool{"PCMU": true, "opus": true, "cn": false, "Telephone-Event": false} {
		info, ok := codec.Lookup(name, 0)
		if !ok || info.Audio() != want {
			t.Errorf("%s: Audio() = %t", name, info.Audio())
		}
	}
}

func TestSilence(t *testing.T) {
	mu, _ := codec.Lookup(codec.PCMU, 0)
	a, _ := codec.Lookup(codec.PCMA, 0)
	l16, _ := codec.Lookup(codec.L16, 16000)
	opus, _ := codec.Lookup(codec.Opus, 0)
	buf := make([]byte, 1000)
	for _, test := range []struct {
		info codec.Info
		n    int
		code byte
		ok   bool
	}{{mu, 160, 0xff, true}, {a, 160, 0xd5, true}, {l16, 640, 0, true}, {opus, 0, 0, false}} {
		n, ok := codec.Silence(test.info, 20*time.Millisecond, buf)
		if n != test.n || ok != test.ok {
			t.Errorf("%s: %d bytes, %t", test.info.Name, n, ok)
		}
		if !bytes.Equal(buf[:n], bytes.Repeat([]byte{test.code}, n)) {
			t.Errorf("%s: wrong bytes", test.info.Name)
		}
	}
	if _, ok := codec.Silence(mu, 20*time.Millisecond, make([]byte, 10)); ok {
		t.Error("silence fits into a buffer that is too small")
	}
	if _, ok := codec.Silence(mu, -time.Second, buf); ok {
		t.Error("there is silence of less than nothing")
	}
}

func TestConverter(t *testing.T) {
	mu, _ := codec.Lookup(codec.PCMU, 0)
	a, _ := codec.Lookup(codec.PCMA, 0)
	g722, _ := codec.Lookup(codec.G722, 0)
	convert, ok := codec.Converter(mu, a)
	if !ok {
		t.Fatal("no way from PCMU to PCMA")
	}
	b := []byte{0xff}
	if convert(b); b[0] != 0xd5 {
		t.Errorf("silence becomes %#x", b[0])
	}
	if convert, ok = codec.Converter(a, mu); !ok {
		t.Fatal("no way from PCMA to PCMU")
	}
	if convert(b); b[0] != 0xfe && b[0] != 0xff {
		t.Errorf("silence becomes %#x", b[0])
	}
	if _, ok := codec.Converter(mu, g722); ok {
		t.Error("PCMU becomes G722 without samples")
	}
}
