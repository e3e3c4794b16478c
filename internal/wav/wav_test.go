package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// memory is an io.WriteSeeker over bytes.
type memory struct {
	b  []byte
	at int64
}

func (m *memory) Write(p []byte) (int, error) {
	if end := m.at + int64(len(p)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	n := copy(m.b[m.at:], p)
	m.at += int64(n)
	return n, nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekEnd:
		offset += int64(len(m.b))
	case io.SeekCurrent:
		offset += m.at
	}
	m.at = offset
	return m.at, nil
}

func write(t testing.TB, f Format, announced int64, pcm []int16) []byte {
	t.Helper()
	m := &memory{}
	w, err := NewWriter(m, f, announced)
	if err != nil {
		t.Fatal(err)
	}
	for piece := range slices.Chunk(pcm, 2*f.Channels) {
		if err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return m.b
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := Format{SampleRate: rapid.SampledFrom([]int{8000, 16000, 48000}).Draw(rt, "rate"), Channels: rapid.IntRange(1, 3).Draw(rt, "channels")}
		frames := rapid.IntRange(0, 50).Draw(rt, "frames")
		pcm := rapid.SliceOfN(rapid.Int16(), frames*f.Channels, frames*f.Channels).Draw(rt, "pcm")
		announced := int64(frames)
		if rapid.Bool().Draw(rt, "unknown") {
			announced = Unknown
		}
		b := write(t, f, announced, pcm)
		if announced != Unknown && int64(len(b)) != Size(f, announced) {
			rt.Fatalf("%d bytes, Size says %d", len(b), Size(f, announced))
		}
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			rt.Fatal(err)
		}
		if r.Format() != f || r.Frames() != int64(frames) {
			rt.Fatalf("%+v with %d frames", r.Format(), r.Frames())
		}
		got := make([]int16, len(pcm)+f.Channels)
		n, err := r.Read(got)
		if err != nil && (len(pcm) > 0 || !errors.Is(err, io.EOF)) {
			rt.Fatal(err)
		}
		if !slices.Equal(got[:n], pcm) {
			rt.Fatalf("read %v, wrote %v", got[:n], pcm)
		}
		if _, err := r.Read(got); !errors.Is(err, io.EOF) {
			rt.Fatalf("after the audio: %v", err)
		}
	})
}

// The canonical header, byte by byte: every player reads these 44 bytes.
func TestKnownLengthHasThePlainHeader(t *testing.T) {
	got := write(t, Format{SampleRate: 8000, Channels: 2}, 1, []int16{1, -2})
	want := []byte("RIFF\x28\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x40\x1f\x00\x00\x00\x7d\x00\x00\x04\x00\x10\x00data\x04\x00\x00\x00\x01\x00\xfe\xff")
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// sparse is a file that keeps its first bytes only.
type sparse struct {
	memory
	size int64
}

func (s *sparse) Write(p []byte) (int, error) {
	if s.at < 1024 {
		if _, err := s.memory.Write(p); err != nil {
			return 0, err
		}
	} else {
		s.at += int64(len(p))
	}
	s.size = max(s.size, s.at)
	return len(p), nil
}

func (s *sparse) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		s.at = s.size + offset
		return s.at, nil
	}
	return s.memory.Seek(offset, whence)
}

func TestAbove4GiBIsRF64(t *testing.T) {
	f := Format{SampleRate: 48000, Channels: 2}
	const leap = 5 << 30 // bytes of audio that the test does without writing
	piece := make([]int16, 4096)
	frames := int64(leap/4 + 2*len(piece)/2)
	for _, announced := range []int64{frames, Unknown} {
		s := &sparse{}
		w, err := NewWriter(s, f, announced)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
			if s.at < leap {
				s.at += leap
				w.bytes += leap
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(bytes.NewReader(s.b))
		if err != nil {
			t.Fatal(err)
		}
		if string(s.b[:4]) != "RF64" || string(s.b[12:16]) != "ds64" {
			t.Errorf("announced %d: header %q", announced, s.b[:16])
		}
		if r.Frames() != frames || r.HeaderSize() != largeHeader {
			t.Errorf("announced %d: %d frames after %d bytes of header", announced, r.Frames(), r.HeaderSize())
		}
		if riff := binary.LittleEndian.Uint64(s.b[20:]); riff != uint64(s.size-8) {
			t.Errorf("announced %d: RIFF size %d of %d bytes", announced, riff, s.size)
		}
	}
}

// The largest RIFF and the smallest RF64 are one frame apart.
func TestTheBorderOf4GiB(t *testing.T) {
	f := Format{SampleRate: 8000, Channels: 1}
	most := (int64(math.MaxUint32) - plainHeader + 8) / 2
	if h := header(f, most, false); string(h[:4]) != "RIFF" {
		t.Errorf("%d frames make %q", most, h[:4])
	}
	if h := header(f, most+1, false); string(h[:4]) != "RF64" {
		t.Errorf("%d frames make %q", most+1, h[:4])
	}
}

func TestAWrongLengthIsToldAndCorrected(t *testing.T) {
	m := &memory{}
	w, err := NewWriter(m, Format{SampleRate: 8000, Channels: 1}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int16{1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, ErrLength) {
		t.Fatalf("got %v", err)
	}
	r, err := NewReader(bytes.NewReader(m.b))
	if err != nil || r.Frames() != 2 {
		t.Fatalf("%v, %+v", err, r)
	}
}

func TestImpossibleRequests(t *testing.T) {
	for _, f := range []Format{{}, {SampleRate: 8000}, {Channels: 1}, {SampleRate: -1, Channels: 1}, {SampleRate: 8000, Channels: 300}} {
		if _, err := NewWriter(&memory{}, f, 0); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	w, err := NewWriter(&memory{}, Format{SampleRate: 8000, Channels: 2}, Unknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int16, 3)); err == nil {
		t.Error("half a frame was taken")
	}
}

type failing struct{ memory }

func (f *failing) Write(p []byte) (int, error) {
	if len(f.b) > 44 {
		return 0, io.ErrShortWrite
	}
	return f.memory.Write(p)
}

// TestBuffered: with a buffer, or both sides at once, the file is the same.
func TestBuffered(t *testing.T) {
	const frames = BufferSize/4*2 + 123
	inter, left, right := make([]int16, 2*frames), make([]int16, frames), make([]int16, frames)
	for i := range frames {
		left[i], right[i] = int16(3*i), int16(-7*i)
		inter[2*i], inter[2*i+1] = left[i], right[i]
	}
	f := Format{SampleRate: 8000, Channels: 2}
	want := write(t, f, frames, inter)
	for _, buffer := range [][]byte{nil, make([]byte, 100), make([]byte, BufferSize)} {
		var got memory
		w, err := NewWriter(&got, f, frames)
		if err != nil {
			t.Fatal(err)
		}
		w.Buffer(buffer)
		for from := 0; from < frames; from += 4096 {
			to := min(from+4096, frames)
			if from%8192 == 0 {
				err = w.Write(inter[2*from : 2*to])
			} else {
				err = w.WriteStereo(left[from:to], right[from:to])
			}
			if err != nil || w.Frames() != int64(to) {
				t.Fatalf("%d frames: %v", w.Frames(), err)
			}
		}
		if err := w.Close(); err != nil || !bytes.Equal(got.b, want) {
			t.Errorf("with %d bytes of buffer the file is another: %v", len(buffer), err)
		}
		if err := w.WriteStereo(left, right[1:]); err == nil {
			t.Error("half a frame was taken")
		}
	}
}

func TestAWriteErrorStays(t *testing.T) {
	w, err := NewWriter(&failing{}, Format{SampleRate: 8000, Channels: 1}, Unknown)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Write([]int16{1}); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("got %v", err)
		}
	}
	if err := w.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("close: %v", err)
	}
}

func TestReaderIsStrict(t *testing.T) {
	good := write(t, Format{SampleRate: 8000, Channels: 1}, 2, []int16{1, 2})
	change := func(at int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], v)
		return b
	}
	cases := map[string][]byte{
		"empty":            nil,
		"another file":     []byte("OggS and so on and so forth, long enough"),
		"another form":     change(8, 'A', 'V', 'I', ' '),
		"8 bits":           change(34, 8),
		"float":            change(20, 3),
		"no channel":       change(22, 0),
		"odd frame size":   change(32, 3),
		"no rate":          change(24, 0, 0, 0, 0),
		"audio too long":   change(40, 0xff),
		"half a sample":    change(40, 3),
		"large chunk":      change(12, 'L', 'I', 'S', 'T', 0xff, 0xff, 0xff, 0x7f),
		"audio before fmt": append(slices.Clone(good[:12]), good[36:]...),
		"ds64 in RIFF":     change(12, 'd', 's', '6', '4'),
		"only a header":    good[:30],
	}
	// An RF64 file says that it has 2^62-1 frames: with the header, they end beyond
	// what a number holds.
	huge := header(Format{SampleRate: 8000, Channels: 1}, 1<<32, false)
	binary.LittleEndian.PutUint64(huge[20:], math.MaxInt64-8)
	binary.LittleEndian.PutUint64(huge[28:], math.MaxInt64-1)
	binary.LittleEndian.PutUint64(huge[36:], math.MaxInt64/2)
	cases["beyond all numbers"] = huge
	for name, b := range cases {
		if _, err := NewReader(bytes.NewReader(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := NewReader(bytes.NewReader(good[:len(good)-1]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]int16, 4)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that was cut: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, Format{SampleRate: 8000, Channels: 1}, 3, []int16{1, 2, 3}))
	f.Add(write(f, Format{SampleRate: 48000, Channels: 2}, Unknown, []int16{1, 2, 3, 4}))
	f.Add(header(Format{SampleRate: 8000, Channels: 2}, 1<<33, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		pcm, total := make([]int16, 1024*r.Format().Channels), int64(0)
		for {
			n, err := r.Read(pcm)
			total += int64(n)
			if err == nil {
				continue
			}
			if errors.Is(err, io.EOF) && total != r.Frames()*int64(r.Format().Channels) {
				t.Fatalf("%d samples of %d frames", total, r.Frames())
			}
			return
		}
	})
}
