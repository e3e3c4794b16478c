package flac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// file writes pcm in pieces and returns the path of the file.
func file(t testing.TB, f Format, pcm []int16, piece int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.flac")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, f)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(pcm, piece*f.Channels) {
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

func runTool(t testing.TB, name string, args ...string) []byte {
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

func samples(b []byte) []int16 {
	out := make([]int16, len(b)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return out
}

// signals are blocks of every kind: what predicts well and what does not, the
// loudest and the most silent there is.
func signals(n, channels int) map[string][]int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	made := map[string]func(i, c int) int16{
		"silence":       func(int, int) int16 { return 0 },
		"constant":      func(_, c int) int16 { return int16(100 - 300*c) },
		"tone":          func(i, c int) int16 { return int16(9000 * math.Sin(float64(i)*0.1*float64(c+1))) },
		"full scale":    func(i, _ int) int16 { return int16(math.MaxInt16 - (i/7%2)*math.MaxUint16) },
		"white noise":   func(int, int) int16 { return int16(rng.Int32()) },
		"faint noise":   func(int, int) int16 { return int16(rng.IntN(7) - 3) },
		"ramp":          func(i, c int) int16 { return int16(i*3 + c) },
		"pulses":        func(i, _ int) int16 { return int16(i % 501 / 500 * 30000) },
		"opposite":      func(i, c int) int16 { return int16((1 - 2*c) * (32767 - i%5)) },
		"nearly alike":  func(i, c int) int16 { return int16(8000*math.Sin(float64(i)*0.05)) + int16(c) },
		"loud and none": func(i, c int) int16 { return int16((1 - min(c, 1)) * int(12000*math.Sin(float64(i)*0.3))) },
	}
	out := make(map[string][]int16)
	for name, f := range made {
		pcm := make([]int16, n*channels)
		for i := range pcm {
			pcm[i] = f(i/channels, i%channels)
		}
		out[name] = pcm
	}
	return out
}

// The reference decoder checks every frame and the MD5, and gives back every bit.
func TestTheReferenceDecoderGivesBackEveryBit(t *testing.T) {
	for _, f := range []Format{{8000, 1}, {8000, 2}, {48000, 2}, {11025, 1}, {16000, 3}} {
		for name, pcm := range signals(2*blockSize+777, f.Channels) {
			path := file(t, f, pcm, 1000)
			runTool(t, "flac", "--test", "--silent", path)
			got := samples(runTool(t, "flac", "--decode", "--silent", "--stdout", "--force-raw-format", "--endian=little", "--sign=signed", path))
			if !slices.Equal(got, pcm) {
				t.Errorf("%+v, %s: other samples came out", f, name)
			}
		}
	}
}

func TestEveryLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := Format{8000, 2}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 15, 16, 17, 63, 64, 65, 100, 255, 256, 257, blockSize - 1, blockSize, blockSize + 1} {
		pcm := make([]int16, 2*n)
		for i := range pcm {
			pcm[i] = int16(rng.IntN(2000) - 1000)
		}
		path := file(t, f, pcm, 333)
		got := samples(runTool(t, "ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-"))
		if !slices.Equal(got, pcm) {
			t.Errorf("%d samples: other ones came out", n)
		}
		runTool(t, "flac", "--test", "--silent", path)
	}
}

// ffmpeg sees rate, channels and exact length, and left is left.
func TestProbe(t *testing.T) {
	f := Format{8000, 2}
	pcm := signals(8000, 2)["loud and none"]
	path := file(t, f, pcm, 160)
	got := strings.Fields(string(runTool(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,channels,duration_ts", "-of", "default=noprint_wrappers=1:nokey=1", path)))
	if want := []string{"flac", "8000", "2", "8000"}; !slices.Equal(got, want) {
		t.Errorf("ffprobe says %v, want %v", got, want)
	}
	left := samples(runTool(t, "ffmpeg", "-v", "error", "-i", path, "-af", "pan=mono|c0=c0", "-f", "s16le", "-"))
	for i, v := range left {
		if v != pcm[2*i] {
			t.Fatalf("left has %d at sample %d, want %d", v, i, pcm[2*i])
		}
	}
}

// It has to be worth the name of a compressed format: near to what the reference
// encoder makes of the same.
func TestSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	pcm := make([]int16, 2*80000)
	for i := range len(pcm) / 2 {
		swell := 0.5 + 0.5*math.Sin(float64(i)*0.0008)
		tone := 4000*math.Sin(float64(i)*0.12) + 2000*math.Sin(float64(i)*0.31) + 900*math.Sin(float64(i)*0.77)
		pcm[2*i] = int16(swell*tone + 20*rng.NormFloat64())
		pcm[2*i+1] = int16(5 * rng.NormFloat64())
	}
	path := file(t, Format{8000, 2}, pcm, 4000)
	raw := filepath.Join(t.TempDir(), "raw")
	var b []byte
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	if err := os.WriteFile(raw, b, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := runTool(t, "flac", "-5", "--silent", "--stdout", "--force-raw-format", "--endian=little", "--sign=signed", "--bps=16", "--sample-rate=8000", "--channels=2", raw)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes of PCM, %d ours, %d theirs", len(b), info.Size(), len(theirs))
	if info.Size() > int64(len(b))/2 || info.Size() > int64(len(theirs))*105/100 {
		t.Errorf("%d bytes of %d; the reference encoder needs %d", info.Size(), len(b), len(theirs))
	}
}

// Whatever comes is given back: lengths and contents are drawn, so that
// partitions, orders and ways of stereo all happen.
func TestAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for run := range 40 {
		f := Format{[]int{8000, 16000, 44100, 12345}[rng.IntN(4)], 1 + rng.IntN(2)}
		var pcm []int16
		for range 1 + rng.IntN(4) {
			level, slow := rng.IntN(16), 1+rng.IntN(40)
			for i := range (1 + rng.IntN(6000)) * f.Channels {
				pcm = append(pcm, int16(rng.Int32())>>level+int16(3000*math.Sin(float64(i/slow))))
			}
		}
		path := file(t, f, pcm[:len(pcm)/f.Channels*f.Channels], 1+rng.IntN(5000))
		got := samples(runTool(t, "flac", "--decode", "--silent", "--stdout", "--force-raw-format", "--endian=little", "--sign=signed", path))
		if !slices.Equal(got, pcm) {
			t.Fatalf("run %d, %+v: other samples came out", run, f)
		}
	}
}

func TestFrameNumbers(t *testing.T) {
	for _, v := range []uint64{0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff} {
		var b bitWriter
		b.number(v)
		if r := []rune(string(b.bytes)); len(r) != 1 || uint64(r[0]) != v && (v < 0xd800 || v > 0xdfff) {
			t.Errorf("%#x is written as % x", v, b.bytes)
		}
	}
	for v, want := range map[uint64][]byte{
		1<<21 - 1: {0xf7, 0xbf, 0xbf, 0xbf},
		1 << 21:   {0xf8, 0x88, 0x80, 0x80, 0x80},
		1 << 26:   {0xfc, 0x84, 0x80, 0x80, 0x80, 0x80},
		1<<36 - 1: {0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf},
	} {
		var b bitWriter
		if b.number(v); !bytes.Equal(b.bytes, want) {
			t.Errorf("%#x is written as % x, want % x", v, b.bytes, want)
		}
	}
}

// memory is an io.WriteSeeker over bytes; it fails after so many writes when
// that is not 0.
type memory struct {
	b     []byte
	at    int64
	fails int
}

func (m *memory) Write(p []byte) (int, error) {
	if m.fails--; m.fails == 0 {
		return 0, io.ErrShortWrite
	}
	if end := m.at + int64(len(p)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	n := copy(m.b[m.at:], p)
	m.at += int64(n)
	return n, nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent {
		offset += m.at
	}
	m.at = offset
	return m.at, nil
}

func TestErrors(t *testing.T) {
	for _, f := range []Format{{}, {8000, 0}, {0, 1}, {8000, 9}, {700000, 1}} {
		if _, err := NewWriter(&memory{}, f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	f := Format{8000, 2}
	for fails := 1; fails <= 4; fails++ {
		m := &memory{fails: fails}
		w, err := NewWriter(m, f)
		if err == nil {
			err = w.Write(make([]int16, 2*blockSize))
		}
		if err == nil {
			err = w.Write(make([]int16, 10))
		}
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("failing write %d: %v", fails, err)
		}
	}
	w, err := NewWriter(&memory{}, f)
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
}

func BenchmarkWrite(b *testing.B) {
	const second = 8000
	pcm := signals(10*second, 2)["tone"]
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range pcm {
		pcm[i] += int16(rng.IntN(200))
	}
	w, err := NewWriter(&discard{}, Format{second, 2})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(2 * len(pcm)))
	for b.Loop() {
		if err := w.Write(pcm); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(10*b.N)/b.Elapsed().Seconds(), "x-real-time")
}

type discard struct{}

func (*discard) Write(p []byte) (int, error)        { return len(p), nil }
func (*discard) Seek(o int64, _ int) (int64, error) { return o, nil }

func TestRateCodes(t *testing.T) {
	for code, hz := range []int{4: 8000, 5: 16000, 6: 22050, 7: 24000, 8: 32000, 9: 44100, 10: 48000, 11: 96000} {
		if hz != 0 && rateCode(hz) != uint64(code) {
			t.Errorf("%s Hz has code %d", strconv.Itoa(hz), rateCode(hz))
		}
	}
}
