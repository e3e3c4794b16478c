package codec_test

import (
	"bytes"
	"errors"
	"slices"
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

func TestG722(t *testing.T) {
	i := lookup(t, codec.G722)
	codectest.Run(t, codectest.Options{Info: i, MinSNR: 30, Delay: late(i)})
}

// late is a codec's delay in samples.
func late(i codec.Info) int { return int(i.Delay() * time.Duration(i.SampleRate) / time.Second) }

func TestDelay(t *testing.T) {
	for name, want := range map[string]time.Duration{
		codec.PCMU: 0, codec.PCMA: 0, codec.L16: 0, codec.CN: 0,
		codec.G722: 1375 * time.Microsecond, codec.Opus: 6500 * time.Microsecond,
	} {
		if got := lookup(t, name).Delay(); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestL16(t *testing.T) {
	stereo, _ := codec.LookupStatic(10)
	codectest.Run(t, codectest.Options{Info: stereo, MinSNR: 80})
	for _, rate := range []int{8000, 16000, 24000, 32000, 44100, 48000} {
		info, ok := codec.Lookup(codec.L16, rate)
		if !ok {
			t.Fatalf("%d Hz: not found", rate)
		}
		codectest.Run(t, codectest.Options{Info: info, MinSNR: 80})
	}
}

func TestDuration(t *testing.T) {
	stereo := codec.Info{Name: codec.L16, ClockRate: 44100, SampleRate: 44100, Channels: 2}
	for _, test := range []struct {
		info    codec.Info
		payload []byte
		want    int
	}{
		{lookup(t, codec.PCMU), make([]byte, 160), 160},
		{lookup(t, codec.G722), make([]byte, 160), 160},
		{lookup(t, codec.L16), make([]byte, 320), 160},
		{stereo, make([]byte, 400), 100},
		{lookup(t, codec.Opus), []byte{0}, 480},             // SILK, 10 ms
		{lookup(t, codec.Opus), []byte{15 << 3}, 960},       // hybrid, 20 ms
		{lookup(t, codec.Opus), []byte{16<<3 | 1}, 240},     // CELT, 2 × 2.5 ms
		{lookup(t, codec.Opus), []byte{19<<3 | 3, 6}, 5760}, // 6 × 20 ms
		{lookup(t, codec.Opus), []byte{19<<3 | 3, 7}, 0},    // over 120 ms
		{lookup(t, codec.Opus), []byte{3}, 0},               // no count
		{lookup(t, codec.PCMU), nil, 0},
		{lookup(t, codec.CN), []byte{40}, 0},
		{codec.Info{Name: "speex", ClockRate: 8000}, []byte{1}, 0},
	} {
		got, ok := test.info.Duration(test.payload)
		if got != test.want || ok != (test.want > 0) {
			t.Errorf("%s %x: %d, %t, want %d", test.info.Name, test.payload, got, ok, test.want)
		}
	}
}

func lookup(t *testing.T, name string) codec.Info {
	t.Helper()
	info, ok := codec.Lookup(name, 0)
	if !ok {
		t.Fatalf("%s: not found", name)
	}
	return info
}

func TestOpus(t *testing.T) {
	info, ok := codec.Lookup(codec.Opus, 0)
	if !ok || !codec.Encodable(info) {
		t.Fatal("libopus is not there")
	}
	for name, i := range map[string]codec.Info{"stereo": info, "mono": info.Mono()} {
		t.Run(name, func(t *testing.T) {
			// Its speech mode keeps the sound rather than the samples.
			codectest.Run(t, codectest.Options{Info: i, MinSNR: 6, Delay: late(i), Pooled: true})
		})
	}
	dec, err := codec.NewDecoder(info.Mono())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := dec.(codec.Recoverer); !ok {
		t.Error("it recovers nothing")
	}
	if enc, err := codec.NewEncoderFor(info.Mono(), "useinbandfec=1;maxaveragebitrate=16000"); err != nil || enc == nil {
		t.Error(err)
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
	for pt, want := range map[uint8]string{0: "PCMU", 8: "PCMA", 9: "G722", 10: "L16", 11: "L16", 13: "CN"} {
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
	for _, name := range []string{"speex", codec.Event, codec.CN} {
		info := codec.Info{Name: name, ClockRate: 8000, SampleRate: 8000, Channels: 1}
		if codec.Encodable(info) {
			t.Errorf("%s can be sent", name)
		}
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
	g722, _ := codec.Lookup(codec.G722, 0)
	buf := make([]byte, 1000)
	for _, test := range []struct {
		info codec.Info
		n    int
		code byte
		ok   bool
	}{{mu, 160, 0xff, true}, {a, 160, 0xd5, true}, {l16, 640, 0, true}, {g722, 0, 0, false}} {
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

// Silence of Opus has the length that was asked for, and no sound.
func TestSilenceOfOpus(t *testing.T) {
	info, _ := codec.Lookup(codec.Opus, 0)
	info.Channels = 1
	decoder, err := codec.NewDecoder(info)
	if err != nil {
		t.Fatal(err)
	}
	payload, pcm := make([]byte, 100), make([]int16, 5760)
	for _, ms := range []int{10, 20, 40, 60} {
		n, ok := codec.Silence(info, time.Duration(ms)*time.Millisecond, payload)
		if units, long := info.Duration(payload[:n]); !ok || !long || units != 48*ms {
			t.Errorf("%d ms: %x", ms, payload[:n])
		}
		got, err := decoder.Decode(pcm, payload[:n])
		if err != nil || got != 48*ms || slices.Max(pcm[:got]) > 1 || slices.Min(pcm[:got]) < -1 {
			t.Errorf("%d ms: %d samples, %v", ms, got, err)
		}
		if _, ok := codec.Silence(info, time.Duration(ms)*time.Millisecond, payload[:n-1]); ok {
			t.Errorf("%d ms fit where they do not", ms)
		}
	}
	if _, ok := codec.Silence(info, 30*time.Millisecond, payload); ok {
		t.Error("Opus has frames of 30 ms")
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
