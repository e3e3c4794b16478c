package flac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// read reads a whole file, in pieces of odd sizes.
func read(t testing.TB, b []byte) (Format, []int16) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	buf := make([]int16, 1001*r.Format().Channels)
	for {
		n, err := r.Read(buf)
		out = append(out, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return r.Format(), out
		}
		if err != nil {
			t.Fatalf("after %d samples: %v", len(out), err)
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

func TestWhatIsWrittenIsRead(t *testing.T) {
	for channels := 1; channels <= 3; channels++ {
		for name, pcm := range signals(9001, channels) {
			f := Format{SampleRate: 16000, Channels: channels}
			format, got := read(t, content(t, file(t, f, pcm, 977)))
			if format != f || !slices.Equal(got, pcm) {
				t.Errorf("%s with %d channels: %d samples of %+v", name, channels, len(got), format)
			}
		}
	}
}

// TestFilesOfTheReferenceEncoder reads what the reference encoder makes of samples
// of other widths, with every tool that it has.
func TestFilesOfTheReferenceEncoder(t *testing.T) {
	for _, bits := range []int{8, 16, 24} {
		for _, how := range [][]string{{"-0"}, {"-5"}, {"-8", "-e", "-p"}, {"-8", "-r", "8", "--blocksize=65535", "--lax"}} {
			t.Run(fmt.Sprint(bits, how), func(t *testing.T) {
				const frames = 20000
				var raw bytes.Buffer
				var want []int16
				for i := range frames {
					for c := range 2 {
						v := int32(math.Round(math.Sin(float64(i)*0.03*float64(c+1)) * float64(int(1)<<(bits-2)-1)))
						v += int32(i * 7919 % 5)
						var b [4]byte
						binary.LittleEndian.PutUint32(b[:], uint32(v))
						raw.Write(b[:bits/8])
						if bits > 16 {
							v >>= bits - 16
						}
						want = append(want, int16(v<<max(0, 16-bits)))
					}
				}
				path := filepath.Join(t.TempDir(), "in.raw")
				if err := os.WriteFile(path, raw.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				args := append([]string{"-s", "-c", "--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", "--sample-rate=44100", fmt.Sprint("--bps=", bits)}, how...)
				format, got := read(t, runTool(t, "flac", append(args, path)...))
				if format != (Format{SampleRate: 44100, Channels: 2}) || !slices.Equal(got, want) {
					t.Errorf("%d samples of %+v", len(got), format)
				}
			})
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	pcm := signals(9001, 2)["tone"]
	good := content(t, file(t, Format{SampleRate: 16000, Channels: 2}, pcm, 4096))
	for at := bytes.Index(good, []byte{0xff, 0xf8}); at < len(good); at += 397 {
		bad := slices.Clone(good)
		bad[at] ^= 0x10
		if err := drain(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for _, size := range []int{0, 3, 10, 41, 60, len(good) / 2, len(good) - 1} {
		if err := drain(good[:size]); !errors.Is(err, ErrFormat) {
			t.Errorf("cut at %d: %v", size, err)
		}
	}
	if err := drain(append(slices.Clone(good), "TAG and so on"...)); err != nil {
		t.Errorf("with something behind it: %v", err)
	}
}

// drain reads a file and returns what went wrong.
func drain(b []byte) error {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	buf := make([]int16, 1<<14)
	for {
		if _, err = r.Read(buf); err != nil {
			break
		}
	}
	if _, again := r.Read(buf); !errors.Is(again, err) {
		return fmt.Errorf("%w, and then %w", err, again)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func FuzzReader(f *testing.F) {
	for _, pcm := range [][]int16{{1, 2, 3, 4}, signals(300, 2)["white noise"], signals(600, 2)["tone"]} {
		f.Add(content(f, file(f, Format{SampleRate: 8000, Channels: 2}, pcm, 100)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := drain(b); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("error of another kind: %v", err)
		}
	})
}
