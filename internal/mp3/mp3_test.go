package mp3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/native"
)

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

// write makes a file of pcm, in pieces of odd sizes.
func write(t testing.TB, o Options, pcm []int16) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.mp3")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, o)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(pcm, 777*o.Channels) {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // closing again changes nothing
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// tones has its own tone on each side.
func tones(rate, channels, frames int) []int16 {
	out := make([]int16, frames*channels)
	for i := range out {
		hz := 440.0 + 560*float64(i%channels)
		out[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i/channels)/float64(rate)))
	}
	return out
}

// amplitude of a tone on one side, in the middle of pcm.
func amplitude(pcm []int16, rate, channels, side int, hz float64) float64 {
	var re, im float64
	n := 0
	for i := len(pcm) / channels / 4; i < len(pcm)/channels*3/4; i++ {
		a := 2 * math.Pi * hz * float64(i) / float64(rate)
		v := float64(pcm[i*channels+side])
		re, im, n = re+v*math.Cos(a), im+v*math.Sin(a), n+1
	}
	return 2 * math.Hypot(re, im) / float64(n)
}

// Every rate that MP3 has: exact length by the first frame, each tone on its own
// side at its level.
func TestEveryRate(t *testing.T) {
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000} {
		for channels := 1; channels <= 2; channels++ {
			frames := rate + 123
			path := write(t, Options{SampleRate: rate, Channels: channels}, tones(rate, channels, frames))
			raw := tool(t, "ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-")
			pcm := make([]int16, len(raw)/2)
			for i := range pcm {
				pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
			if len(pcm) != frames*channels {
				t.Errorf("%d Hz, %d: %d samples of %d", rate, channels, len(pcm)/channels, frames)
				continue
			}
			for side := range channels {
				own := amplitude(pcm, rate, channels, side, 440+560*float64(side))
				other := amplitude(pcm, rate, channels, side, 1000-560*float64(side))
				if own < 7600 || own > 8400 || other > 80 {
					t.Errorf("%d Hz, %d: side %d has its tone at %.0f, the other's at %.0f; want 8000 and 0", rate, channels, side, own, other)
				}
			}
		}
	}
}

// A file of nothing is one that players open.
func TestNoAudio(t *testing.T) {
	for _, rate := range []int{8000, 24000, 32000, 44100, 48000} {
		for channels := 1; channels <= 2; channels++ {
			path := write(t, Options{SampleRate: rate, Channels: channels}, nil)
			raw := tool(t, "ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-")
			// A decoder of MPEG 2 plays what the library puts before the audio.
			if frames := len(raw) / 2 / channels; rate >= 32000 && frames != 1 || frames > 576 {
				t.Errorf("%d Hz, %d: %d samples", rate, channels, frames)
			}
		}
	}
}

// The first frame tells players how long the file is, and how to find a place.
func TestFirstFrame(t *testing.T) {
	b, err := os.ReadFile(write(t, Options{SampleRate: 8000, Channels: 2}, tones(8000, 2, 80000)))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b[:100], []byte("Xing"))
	if at < 0 {
		t.Fatal("no Xing header in the first frame")
	}
	if flags := binary.BigEndian.Uint32(b[at+4:]); flags&7 != 7 { // frames, bytes, contents
		t.Errorf("flags %x", flags)
	}
	// A frame of MPEG 2.5 has 576 samples; this one is not counted.
	if frames := binary.BigEndian.Uint32(b[at+8:]); frames < 80000/576 || frames > 80000/576+4 {
		t.Errorf("%d frames", frames)
	}
	if size := binary.BigEndian.Uint32(b[at+12:]); int(size) != len(b) {
		t.Errorf("%d bytes of %d", size, len(b))
	}
}

func TestErrors(t *testing.T) {
	for _, o := range []Options{{}, {SampleRate: 8000}, {SampleRate: 8000, Channels: 3}, {SampleRate: 7000, Channels: 1}, {SampleRate: 96000, Channels: 2}} {
		if _, err := NewWriter(&file{}, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	o := Options{SampleRate: 8000, Channels: 2, Absent: true}
	var missing *native.MissingError
	if _, err := NewWriter(&file{}, o); !errors.As(err, &missing) || missing.Package != "libmp3lame0" {
		t.Errorf("without the library: %v", err)
	}
	if err := Available(o); !errors.Is(err, native.ErrMissing) {
		t.Errorf("without the library: %v", err)
	}
	if err := Available(Options{}); err != nil {
		t.Error(err)
	}
	o.Absent = false
	w, err := NewWriter(&file{}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int16, 3)); err == nil {
		t.Error("half a frame was taken")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int16, 2)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	for room := range 3 {
		w, err := NewWriter(&file{room: 1 + 1000*room}, o)
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write(tones(8000, 2, 8000))
		if closing := w.Close(); err == nil {
			err = closing
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("disk with room for %d: %v", 1+1000*room, err)
		}
	}
}

// file has room for so many bytes; 0 is no limit.
type file struct{ room int }

func (f *file) Write(p []byte) (int, error) {
	if f.room > 0 {
		if f.room -= len(p); f.room <= 0 {
			f.room = -1
		}
	}
	if f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func (*file) Seek(int64, int) (int64, error) { return 0, nil }
