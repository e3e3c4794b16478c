package prompt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/flac"
	"tapedeck/internal/mp3"
	"tapedeck/internal/ogg"
	"tapedeck/internal/wav"
)

// sound is a file of two seconds of a tone that goes up, from the left, and silence
// from the right.
func sound(t testing.TB, kind string, rate, channels int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in."+kind)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pcm := make([]int16, 2*rate*channels)
	for i, v := range chirp(rate, 2*rate) {
		pcm[i*channels] = v
	}
	var w interface {
		Write([]int16) error
		Close() error
	}
	switch kind {
	case "wav":
		w, err = wav.NewWriter(f, wav.Format{SampleRate: rate, Channels: channels}, wav.Unknown)
	case "flac":
		w, err = flac.NewWriter(f, flac.Format{SampleRate: rate, Channels: channels})
	case "mp3":
		w, err = mp3.NewWriter(f, mp3.Options{SampleRate: rate, Channels: channels})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(pcm), w.Close()); err != nil {
		t.Fatal(err)
	}
	return content(t, path)
}

func chirp(rate, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		s := float64(i) / float64(rate)
		out[i] = int16(8000 * math.Sin(2*math.Pi*(300*s+200*s*s)))
	}
	return out
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// converted has a program of others make a file.
func converted(t testing.TB, in []byte, name string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "in.wav"), filepath.Join(dir, name)
	if err := os.WriteFile(from, in, 0o600); err != nil {
		t.Fatal(err)
	}
	full := append(append([]string{"-v", "error", "-i", from}, args...), to)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", full...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", full, err, out)
	}
	return content(t, to)
}

// TestEveryFormat: what comes out is the sound that went in, at its place.
func TestEveryFormat(t *testing.T) {
	plain := sound(t, "wav", 48000, 1)
	for name, c := range map[string]struct {
		file []byte
		kind string
		rate int
	}{
		"wav 8 kHz":        {sound(t, "wav", 8000, 1), "audio/wav", 8000},
		"wav 44.1 kHz":     {sound(t, "wav", 44100, 2), "audio/wav", 16000},
		"wav of 24 bits":   {converted(t, plain, "x.wav", "-c:a", "pcm_s24le"), "audio/wav", 16000},
		"wav of A-law":     {converted(t, plain, "x.wav", "-c:a", "pcm_alaw", "-ar", "8000"), "audio/wav", 8000},
		"flac":             {sound(t, "flac", 16000, 2), "audio/flac", 16000},
		"flac of others":   {converted(t, plain, "x.flac", "-sample_fmt", "s32"), "audio/flac", 16000},
		"mp3 22.05 kHz":    {sound(t, "mp3", 22050, 1), "audio/mpeg", 16000},
		"mp3 8 kHz":        {sound(t, "mp3", 8000, 2), "audio/mpeg", 8000},
		"mp3 with a cover": {converted(t, plain, "x.mp3", "-metadata", "title=Tone", "-id3v2_version", "3"), "audio/mpeg", 16000},
		"opus":             {converted(t, plain, "x.ogg", "-c:a", "libopus"), "audio/ogg", 16000},
		"opus, two sides":  {converted(t, plain, "x.opus", "-c:a", "libopus", "-ac", "2"), "audio/ogg", 16000},
	} {
		got, err := clip(t.Context(), bytes.NewReader(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := chirp(got.Rate, 2*got.Rate)
		n := min(len(want), len(got.Samples))
		like := audio.Correlation(want[:n], got.Samples[:n])
		if got.Rate != c.rate || (got.Duration()-2*time.Second).Abs() > 30*time.Millisecond || like < 0.97 {
			t.Errorf("%s: %v at %d Hz, %.3f like what it should be", name, got.Duration(), got.Rate, like)
		}
		what, err := probe(t.Context(), bytes.NewReader(c.file))
		if err != nil || what.kind != c.kind || (what.duration-got.Duration()).Abs() > time.Millisecond {
			t.Errorf("%s: found %+v, %v", name, what, err)
		}
	}
}

func TestWhatIsNoAudio(t *testing.T) {
	plain := sound(t, "wav", 8000, 1)
	inOgg := converted(t, plain, "x.ogg", "-c:a", "libopus")
	for name, c := range map[string]struct {
		file []byte
		why  string
	}{
		"empty":       {nil, "empty"},
		"a page":      {[]byte("\ufeff\r\n <!DOCTYPE html><html>"), "web page"},
		"text":        {[]byte("hello"), "WAV, MP3, Ogg and FLAC are"},
		"no samples":  {plain[:80], "no sound in it"},
		"half a head": {plain[:30], "ends within its header"},
		"half an Ogg": {inOgg[:40], "ends within its header"},
		"cut tags":    {inOgg[:60], "ends within its header"},
		"Vorbis":      {converted(t, plain, "x.ogg", "-c:a", "libvorbis", "-ar", "44100"), "Vorbis"},
		"Speex":       {append([]byte("OggS\x00\x02"), make([]byte, 100)...), "neither"},
		"ADPCM":       {converted(t, plain, "x.wav", "-c:a", "adpcm_ms"), "can be read"},
	} {
		if _, err := clip(t.Context(), bytes.NewReader(c.file)); !errors.Is(err, ErrNoAudio) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless is silence without an end, as WAV.
type endless struct{ head io.Reader }

func (e *endless) Read(b []byte) (int, error) {
	if n, err := e.head.Read(b); n > 0 || err == nil {
		return n, nil
	}
	clear(b)
	return len(b), nil
}

func TestNothingPlaysForEver(t *testing.T) {
	head := bytes.Clone(sound(t, "wav", 8000, 1)[:80])
	copy(head[76:], "\xff\xff\xff\xff")
	if _, err := probe(t.Context(), &endless{bytes.NewReader(head)}); !errors.Is(err, ErrLong) {
		t.Errorf("an endless file: %v", err)
	}
	for _, c := range []struct {
		rate, channels int
		seconds        int64
		want           error
	}{
		{8000, 1, 3600, nil},
		{8000, 1, 3601, ErrLong},
		{96000, 2, 3600, nil},
		{384000, 8, 225, nil},
		{384000, 8, 226, ErrDense}, // which took minutes
		{48000, 8, 3599, ErrDense},
	} {
		if got := tooMuch(c.seconds*int64(c.rate), &stream{rate: c.rate, channels: c.channels}); !errors.Is(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe(ctx, &endless{bytes.NewReader(head)}); !errors.Is(err, context.Canceled) {
		t.Errorf("who asked has gone: %v", err)
	}
}

// TestOpusGain: what the header says of the volume is obeyed.
func TestOpusGain(t *testing.T) {
	b := converted(t, sound(t, "wav", 48000, 1), "x.ogg", "-c:a", "libopus")
	before, err := clip(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := ogg.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	f := &opusFile{pages: pages, gain: math.Pow(10, -6.0/20)}
	loud := before.Samples[:1000]
	quiet := append([]int16{}, loud...)
	f.take(quiet)
	if a, b := audio.Measure(loud).RMS, audio.Measure(f.left).RMS; math.Abs(a-b-6) > 0.1 {
		t.Errorf("%.1f and %.1f dB", a, b)
	}
}

func FuzzDecode(f *testing.F) {
	for _, kind := range []string{"wav", "flac"} {
		b := sound(f, kind, 8000, 1)
		f.Add(b[:min(len(b), 3000)])
	}
	b := converted(f, sound(f, "wav", 48000, 1), "x.ogg", "-c:a", "libopus", "-b:a", "8k")
	f.Add(b[:min(len(b), 3000)])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := probe(t.Context(), bytes.NewReader(b))
		if err != nil && !errors.Is(err, ErrNoAudio) && !errors.Is(err, ErrLong) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("error of another kind: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "goroutine") {
			t.Fatal(err)
		}
	})
}
