package render

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec/opus"
	"tapedeck/internal/native"
	"tapedeck/internal/ogg"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// sweeps is a call in which the left voice goes up and the right one down, both
// within a telephone's band; each has a shape of its own, so that a place can be
// told by it.
func sweeps(rate, channels, frames int) []int16 {
	out := make([]int16, frames*channels)
	for i := range out {
		at := float64(i/channels) / float64(rate)
		from, slope := 350.0, 250.0
		if i%channels == 1 {
			from, slope = 3100, -300
		}
		swell := 0.6 + 0.4*math.Sin(2*math.Pi*1.7*at+float64(i%channels))
		out[i] = int16(9000 * swell * math.Sin(2*math.Pi*(from*at+slope/2*at*at)))
	}
	return out
}

// master is the WAV file of pcm.
func master(t testing.TB, f wav.Format, pcm []int16) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.wav")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := wav.NewWriter(out, f, int64(len(pcm)/f.Channels))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(pcm); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func converted(t testing.TB, src []byte, format voice.AudioFormat) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out"+format.Extension())
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var last, total int64
	if err := Convert(t.Context(), bytes.NewReader(src), out, format, func(d, n int64) { last, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if last != total {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	return path
}

func tool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

func little(b []byte) []int16 {
	out := make([]int16, len(b)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return out
}

// side takes one channel out.
func side(pcm []int16, channels, k int) []int16 {
	out := make([]int16, 0, len(pcm)/channels)
	for i := k; i < len(pcm); i += channels {
		out = append(out, pcm[i])
	}
	return out
}

// listen decodes a file with ffmpeg at a rate.
func listen(t testing.TB, path string, rate int) []int16 {
	t.Helper()
	return little(tool(t, "ffmpeg", "-v", "error", "-i", path, "-ar", strconv.Itoa(rate), "-f", "s16le", "-"))
}

// same holds what came out against what went in: length, place, level, and that
// no side is heard on the other.
func same(t *testing.T, want, got []int16, f wav.Format, off int) {
	t.Helper()
	if d := len(got) - len(want); d < -off*f.Channels || d > off*f.Channels {
		t.Errorf("%d samples of %d", len(got)/f.Channels, len(want)/f.Channels)
	}
	for k := range f.Channels {
		in, out := side(want, f.Channels, k), side(got, f.Channels, k)
		m := compare.Align(in, out)
		if ms := 1000 * math.Abs(m.Lag) / float64(f.SampleRate); ms > 1 {
			t.Errorf("side %d is %.2f ms off its place", k, ms)
		}
		if m.Correlation < 0.98 {
			t.Errorf("side %d is %.3f like what it was", k, m.Correlation)
		}
		if d := audio.Measure(out).RMS - audio.Measure(in).RMS; math.Abs(d) > 0.5 {
			t.Errorf("side %d is %.2f dB louder", k, d)
		}
		if f.Channels == 2 {
			if x := compare.CrossTalk(out, in, side(want, 2, 1-k)); x > -40 {
				t.Errorf("side %d has the other at %.1f dB", k, x)
			}
		}
	}
}

func TestConvert(t *testing.T) {
	for _, f := range []wav.Format{{SampleRate: 8000, Channels: 1}, {SampleRate: 8000, Channels: 2}, {SampleRate: 44100, Channels: 1}, {SampleRate: 48000, Channels: 2}} {
		frames := f.SampleRate*2 + f.SampleRate/7 + 1
		pcm := sweeps(f.SampleRate, f.Channels, frames)
		src := master(t, f, pcm)
		for _, format := range voice.AudioFormats() {
			t.Run(fmt.Sprintf("%s %d Hz %d", format, f.SampleRate, f.Channels), func(t *testing.T) {
				path := converted(t, src, format)
				got := listen(t, path, f.SampleRate)
				if format.Lossless() {
					if !slices.Equal(got, pcm) {
						t.Error("other samples came out")
					}
					return
				}
				off := 0
				if format == voice.FormatOgg {
					off = 1 // ffmpeg's way back from 48 kHz rounds
				}
				same(t, pcm, got, f, off)
			})
		}
	}
}

// The tools of the Opus project see a well-formed stream with the exact length,
// and give it back in place.
func TestOggByOpusTools(t *testing.T) {
	f := wav.Format{SampleRate: 8000, Channels: 2}
	const frames = 8000*2 + 123
	pcm := sweeps(f.SampleRate, 2, frames)
	path := converted(t, master(t, f, pcm), voice.FormatOgg)
	info := string(tool(t, "opusinfo", path))
	for _, want := range []string{"Channels: 2", "Original sample rate: 8000", "Pre-skip: 312", "Playback length: 0m:02.015s", "Page duration:"} {
		if !strings.Contains(info, want) {
			t.Errorf("opusinfo does not say %q:\n%s", want, info)
		}
	}
	if strings.Contains(strings.ToLower(info), "warning") {
		t.Errorf("opusinfo warns:\n%s", info)
	}
	raw := filepath.Join(t.TempDir(), "raw")
	tool(t, "opusdec", "--quiet", "--rate", "48000", "--no-dither", path, raw+".wav")
	b, err := os.ReadFile(raw + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	got := little(b[len(b)-frames*6*4:])
	same(t, sweeps(48000, 2, frames*6), got, wav.Format{SampleRate: 48000, Channels: 2}, 0)
	if len(b) > frames*6*4+1000 {
		t.Errorf("opusdec gives %d bytes for %d samples", len(b), frames*6)
	}
}

// What other people's encoder made, our reader and decoders read.
func TestOpusOfOthers(t *testing.T) {
	f := wav.Format{SampleRate: 48000, Channels: 2}
	pcm := sweeps(f.SampleRate, 2, 48000)
	dir := t.TempDir()
	in := filepath.Join(dir, "in.wav")
	if err := os.WriteFile(in, master(t, f, pcm), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"ffmpeg":        {"ffmpeg", "-v", "error", "-i", in, "-c:a", "libopus", "-b:a", "96k"},
		"ffmpeg, 60 ms": {"ffmpeg", "-v", "error", "-i", in, "-c:a", "libopus", "-b:a", "96k", "-frame_duration", "60"},
		"opusenc":       {"opusenc", "--quiet", "--bitrate", "96", in},
	} {
		path := filepath.Join(dir, name+".ogg")
		tool(t, args[0], append(args[1:], path)...)
		for _, absent := range []bool{false, true} {
			got := decodeOgg(t, path, absent)
			same(t, pcm, got, f, 0)
		}
	}
}

// decodeOgg plays a file with our reader and decoder.
func decodeOgg(t *testing.T, path string, absent bool) []int16 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := ogg.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Options().Channels
	d, err := opus.NewDecoder(opus.Options{Channels: c, Absent: absent})
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	buf := make([]int16, opus.MaxFrame*c)
	for {
		p, err := r.Packet()
		if errors.Is(err, io.EOF) {
			return out[r.Options().PreSkip*c : r.Granule()*int64(c)]
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := d.Decode(buf, p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, buf[:n]...)
	}
}

// A file of nothing, and of next to nothing, is whole in every format.
func TestConvertVeryShort(t *testing.T) {
	f := wav.Format{SampleRate: 8000, Channels: 2}
	for _, frames := range []int{0, 1} {
		src := master(t, f, make([]int16, 2*frames))
		for _, format := range voice.AudioFormats() {
			path := converted(t, src, format)
			want, rate := 2*frames, f.SampleRate
			switch format {
			case voice.FormatMP3:
				tool(t, "ffmpeg", "-v", "error", "-i", path, "-f", "null", "-")
				continue // it plays the one frame of an MP3 without audio
			case voice.FormatOgg:
				want, rate = 6*want, opus.SampleRate
			}
			if got := listen(t, path, rate); len(got) != want {
				t.Errorf("%s: %d values of %d", format, len(got), want)
			}
		}
	}
}

// The same audio gives the same bytes, whenever it is asked for.
func TestConvertIsRepeatable(t *testing.T) {
	f := wav.Format{SampleRate: 8000, Channels: 2}
	src := master(t, f, sweeps(8000, 2, 20000))
	for _, format := range voice.AudioFormats() {
		a, errA := os.ReadFile(converted(t, src, format))
		b, errB := os.ReadFile(converted(t, src, format))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: two files differ (%v, %v)", format, errA, errB)
		}
		if d := float64(len(a)) / float64(len(src)); !format.Lossless() && d > 0.5 {
			t.Errorf("%s is %.0f %% of the master", format, 100*d)
		}
	}
}

func TestFormatsWithoutLibraries(t *testing.T) {
	if got := Formats(); !slices.Equal(got, voice.AudioFormats()) {
		t.Errorf("with all libraries there is %v", got)
	}
	none := libraries{absent: true}
	src := master(t, wav.Format{SampleRate: 8000, Channels: 1}, make([]int16, 100))
	for format, pkg := range map[voice.AudioFormat]string{voice.FormatMP3: "libmp3lame0", voice.FormatOgg: "libopus0"} {
		out := discard{io.Discard}
		err := none.convert(t.Context(), bytes.NewReader(src), out, format, nil)
		var missing *native.MissingError
		if !errors.Is(err, ErrFormatUnavailable) || !errors.As(err, &missing) || missing.Package != pkg || !strings.Contains(err.Error(), pkg) {
			t.Errorf("%s: %v", format, err)
		}
	}
	for _, format := range []voice.AudioFormat{voice.FormatWAV, voice.FormatFLAC} {
		if err := none.available(format); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
	if err := Available("aiff"); !errors.Is(err, ErrFormatUnavailable) {
		t.Errorf("aiff: %v", err)
	}
}

func TestConvertGivesUp(t *testing.T) {
	f := wav.Format{SampleRate: 8000, Channels: 2}
	src := master(t, f, sweeps(8000, 2, 100000))
	wide := master(t, wav.Format{SampleRate: 8000, Channels: 3}, make([]int16, 300))
	odd := master(t, wav.Format{SampleRate: 7000, Channels: 1}, make([]int16, 300))
	for _, format := range voice.AudioFormats() {
		out := discard{io.Discard}
		if err := Convert(t.Context(), bytes.NewReader(src[:len(src)-7]), out, format, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s of a file that was cut: %v", format, err)
		}
		if err := Convert(t.Context(), strings.NewReader("RIFF and nothing"), out, format, nil); !errors.Is(err, wav.ErrFormat) {
			t.Errorf("%s of no WAV file: %v", format, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := Convert(ctx, bytes.NewReader(src), out, format, func(int64, int64) { calls++; cancel() })
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("%s, cancelled: %v after %d pieces", format, err, calls)
		}
		if err := Convert(t.Context(), bytes.NewReader(src), &brokenFile{room: 100}, format, nil); !errors.Is(err, errDisk) {
			t.Errorf("%s on a full disk: %v", format, err)
		}
	}
	for format, b := range map[voice.AudioFormat][]byte{voice.FormatMP3: odd, voice.FormatOgg: wide} {
		if err := Convert(t.Context(), bytes.NewReader(b), discard{io.Discard}, format, nil); err == nil {
			t.Errorf("%s was made of what it cannot hold", format)
		}
	}
}

// brokenFile has room for so many bytes.
type brokenFile struct{ room int }

func (b *brokenFile) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (*brokenFile) Seek(int64, int) (int64, error) { return 0, nil }

// A longer file takes more time, and no more memory.
func TestConvertTakesNoMemoryForLength(t *testing.T) {
	took := func(format voice.AudioFormat, seconds int) uint64 {
		var before, after runtime.MemStats
		src := callOf(seconds)
		runtime.ReadMemStats(&before)
		if err := Convert(t.Context(), src, discard{io.Discard}, format, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, format := range voice.AudioFormats() {
		short, long := took(format, 10), took(format, 40)
		if long > 8<<20 || long > short+256<<10 {
			t.Errorf("%s: %d bytes for 10 s, %d for 40 s", format, short, long)
		}
	}
}

// callOf is the WAV file of a stereo call of so many seconds, made while it is
// read.
func callOf(seconds int) io.Reader {
	frames := int64(seconds) * 8000
	head := &headOnly{}
	if _, err := wav.NewWriter(head, wav.Format{SampleRate: 8000, Channels: 2}, frames); err != nil {
		panic(err)
	}
	pcm := sweeps(8000, 2, 8000)
	body := make([]byte, 0, 4*len(pcm))
	for _, v := range pcm {
		body = binary.LittleEndian.AppendUint16(body, uint16(v))
	}
	readers := []io.Reader{bytes.NewReader(head.b)}
	for range seconds {
		readers = append(readers, bytes.NewReader(body))
	}
	return io.MultiReader(readers...)
}

type headOnly struct{ b []byte }

func (h *headOnly) Write(p []byte) (int, error) { h.b = append(h.b, p...); return len(p), nil }

func (*headOnly) Seek(int64, int) (int64, error) { return 0, nil }

func BenchmarkConvert(b *testing.B) {
	for _, format := range voice.AudioFormats() {
		b.Run(string(format), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Convert(b.Context(), callOf(3600), discard{io.Discard}, format, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*3600/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}
