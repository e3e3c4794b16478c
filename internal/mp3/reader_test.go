package mp3

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"tapedeck/internal/native"
)

// readAll reads a whole file.
func readAll(t testing.TB, r io.Reader) (rate, channels int, pcm []int16, _ error) {
	t.Helper()
	rd, err := NewReader(r, ReadOptions{})
	if err != nil {
		return 0, 0, nil, err
	}
	defer rd.Close()
	rate, channels = rd.Format()
	buf := make([]int16, 1999)
	for {
		n, err := rd.Read(buf)
		pcm = append(pcm, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return rate, channels, pcm, nil
		}
		if err != nil {
			return rate, channels, pcm, err
		}
		if n%channels != 0 {
			t.Fatalf("%d samples of %d channels", n, channels)
		}
	}
}

// TestEveryRateIsRead: with what stands in the first frame, the length is exact, and
// each tone is on its own side.
func TestEveryRateIsRead(t *testing.T) {
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000} {
		for want := 1; want <= 2; want++ {
			frames := rate + 123
			b := content(t, write(t, Options{SampleRate: rate, Channels: want}, tones(rate, want, frames)))
			tagged := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
			gotRate, channels, pcm, err := readAll(t, iotest.HalfReader(bytes.NewReader(append(tagged, b...))))
			if err != nil || gotRate != rate || channels != want || len(pcm) != frames*want {
				t.Errorf("%d Hz, %d: %d samples at %d Hz with %d channels, %v", rate, want, len(pcm), gotRate, channels, err)
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

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsNoMP3(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte(strings.Repeat("this is a page and no sound. ", 500)),
		"zeros": make([]byte, 100000), "a tag and nothing": []byte("ID3\x04\x00\x00\x00\x00\x00\x00"),
	} {
		if _, _, pcm, err := readAll(t, bytes.NewReader(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %d samples, %v", name, len(pcm), err)
		}
	}
	good := content(t, write(t, Options{SampleRate: 16000, Channels: 1}, tones(16000, 1, 16000)))
	other := content(t, write(t, Options{SampleRate: 8000, Channels: 2}, tones(8000, 2, 8000)))
	if _, _, _, err := readAll(t, bytes.NewReader(slices.Concat(good, other))); !errors.Is(err, ErrFormat) {
		t.Errorf("two formats: %v", err)
	}
	// A file that was cut plays as far as it goes.
	if _, _, pcm, err := readAll(t, bytes.NewReader(good[:len(good)/2])); err != nil || len(pcm) < 4000 || len(pcm) > 12000 {
		t.Errorf("cut: %d samples, %v", len(pcm), err)
	}
	broken := errors.New("broken")
	if _, _, _, err := readAll(t, io.MultiReader(bytes.NewReader(good[:len(good)/2]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: %v", err)
	}
}

func TestReadersThatAreNot(t *testing.T) {
	if err := Readable(ReadOptions{Absent: true}); !errors.Is(err, native.ErrMissing) || !strings.Contains(err.Error(), "libmpg123-0") {
		t.Errorf("without the library: %v", err)
	}
	if _, err := NewReader(bytes.NewReader(nil), ReadOptions{Absent: true}); !errors.Is(err, native.ErrMissing) {
		t.Errorf("without the library: %v", err)
	}
	if err := Readable(ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(content(t, write(t, Options{SampleRate: 8000, Channels: 2}, tones(8000, 2, 8000)))), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]int16, 1)); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("no room: %v", err)
	}
	r.Close()
	r.Close()
	if _, err := r.Read(make([]int16, 8)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	b := content(f, write(f, Options{SampleRate: 8000, Channels: 2}, tones(8000, 2, 800)))
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x01\x00 and not much"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, _, err := readAll(t, bytes.NewReader(b)); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("error of another kind: %v", err)
		}
	})
}
