package g722_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/codec/g722"
	"tapedeck/internal/testkit"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pcm(b []byte) []int16 {
	out := make([]int16, len(b)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return out
}

// pieces calls f for a stream of so many bytes cut at odd places.
func pieces(n int, f func(from, to int)) {
	for from, size := 0, 1; from < n; size = size*7%337 + 1 {
		to := min(from+size, n)
		f(from, to)
		from = to
	}
}

func encode(in []int16) []byte {
	out := make([]byte, len(in)/2)
	e := g722.NewEncoder()
	pieces(len(out), func(from, to int) { e.Encode(out[from:to], in[2*from:2*to]) })
	return out
}

func decode(mode g722.Mode, in []byte) []int16 {
	out := make([]int16, 2*len(in))
	d := g722.NewDecoder(mode)
	pieces(len(in), func(from, to int) { d.Decode(out[2*from:2*to], in[from:to]) })
	return out
}

func equal[T int16 | byte](t *testing.T, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("value %d of %d is %d, want %d", i, len(got), got[i], want[i])
		}
	}
}

// likeSpandsp compares but for samples at full scale: spandsp 0.0.6 does not limit
// the last sum to 16 bits, as G.722 (SELECT) and ffmpeg do, and wraps there.
func likeSpandsp(t *testing.T, got, want []int16) {
	t.Helper()
	for i, v := range got {
		if i < len(want) && (v == math.MaxInt16 || v == math.MinInt16) {
			got[i], want[i] = 0, 0
		}
	}
	equal(t, got, want)
}

// TestVectors: speech and signals at the edge, encoded and decoded by spandsp,
// and bytes that no encoder makes. scripts/codec-vectors made the files.
func TestVectors(t *testing.T) {
	code := file(t, "input.g722")
	t.Run("encode", func(t *testing.T) { equal(t, encode(pcm(file(t, "input.s16"))), code) })
	for name, mode := range map[string]g722.Mode{
		"input.64.s16": g722.Mode64, "input.56.s16": g722.Mode56, "input.48.s16": g722.Mode48,
	} {
		t.Run(name, func(t *testing.T) { likeSpandsp(t, decode(mode, code), pcm(file(t, name))) })
	}
	t.Run("wild", func(t *testing.T) {
		likeSpandsp(t, decode(g722.Mode64, file(t, "wild.g722")), pcm(file(t, "wild.64.s16")))
	})
}

// TestAgainstFFmpeg: the same from the second oracle.
func TestAgainstFFmpeg(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	raw := file(t, "input.s16")
	code := ffmpeg(t, raw, "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", "-c:a", "g722", "-f", "g722", "-")
	equal(t, encode(pcm(raw)), code)
	for _, name := range []string{"input.g722", "wild.g722"} {
		code := file(t, name)
		out := ffmpeg(t, code, "-f", "g722", "-i", "-", "-f", "s16le", "-")
		equal(t, decode(g722.Mode64, code), pcm(out))
	}
}

func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	var errors bytes.Buffer
	c := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	c.Stdin, c.Stderr = bytes.NewReader(in), &errors
	out, err := c.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s (scripts/install-test-deps installs it)", err, &errors)
	}
	return out
}

// TestQuality: both filters and 64 kbit/s, by ear's measure of a number.
func TestQuality(t *testing.T) {
	in := make([]int16, 16000)
	for i := range in {
		in[i] = int16(8000 * math.Sin(2*math.Pi*1000*float64(i)/16000))
	}
	out := decode(g722.Mode64, encode(in))
	var signal, noise float64
	for i := range in[:len(in)-g722.Delay] {
		s := float64(in[i])
		d := float64(out[i+g722.Delay]) - s
		signal, noise = signal+s*s, noise+d*d
	}
	if snr := 10 * math.Log10(signal/noise); snr < 30 {
		t.Errorf("a tone of 1 kHz comes back with %.1f dB signal to noise", snr)
	}
}

func TestReset(t *testing.T) {
	code := file(t, "wild.g722")
	d := g722.NewDecoder(g722.Mode64)
	first, second := make([]int16, 2*len(code)), make([]int16, 2*len(code))
	d.Decode(first, code)
	d.Reset()
	d.Decode(second, code)
	if !slices.Equal(first, second) {
		t.Error("a decoder that was reset is not as new")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	e, d := g722.NewEncoder(), g722.NewDecoder(g722.Mode64)
	samples, code := make([]int16, 320), make([]byte, 160)
	if n := testing.AllocsPerRun(100, func() {
		e.Encode(code, samples)
		d.Decode(samples, code)
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// FuzzDecode: no byte makes a decoder fail, and a stream cut anywhere is the same
// stream.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 255, 128, 1}, byte(8), uint16(2))
	f.Add(file(f, "wild.g722")[:200], byte(7), uint16(77))
	f.Fuzz(func(t *testing.T, code []byte, bits byte, cut uint16) {
		mode := g722.Mode(6 + bits%3)
		whole, parts := make([]int16, 2*len(code)), make([]int16, 2*len(code))
		g722.NewDecoder(mode).Decode(whole, code)
		at := min(int(cut), len(code))
		d := g722.NewDecoder(mode)
		d.Decode(parts, code[:at])
		d.Decode(parts[2*at:], code[at:])
		if !slices.Equal(whole, parts) {
			t.Fatal("cut, it is another stream")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	code, out := file(b, "input.g722")[:160], make([]int16, 320)
	d := g722.NewDecoder(g722.Mode64)
	b.ReportAllocs()
	for b.Loop() {
		d.Decode(out, code)
	}
	perHour(b)
}

func BenchmarkEncode(b *testing.B) {
	in, code := pcm(file(b, "input.s16"))[:320], make([]byte, 160)
	e := g722.NewEncoder()
	b.ReportAllocs()
	for b.Loop() {
		e.Encode(code, in)
	}
	perHour(b)
}

// perHour says how long an hour of frames of 20 ms takes.
func perHour(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*50*3600/1e9, "s/hour")
}
