package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
)

// foreign is a file of another writer.
func foreign(tag encoding, bits, channels int, audio []byte) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16((bits+7)/8*channels))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(audio)))
	return append(b, audio...)
}

func readForeign(b []byte) ([]int16, error) {
	r, err := NewForeign(iotest.HalfReader(bytes.NewReader(b)))
	if err != nil {
		return nil, err
	}
	var out []int16
	buf := make([]int16, 7*r.Format().Channels)
	for {
		n, err := r.Read(buf)
		out = append(out, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if n%r.Format().Channels != 0 {
			return out, errors.New("half a frame")
		}
	}
}

func TestForeign(t *testing.T) {
	var float []byte
	for _, v := range []float64{0, 0.5, -1, 2, math.NaN()} {
		float = binary.LittleEndian.AppendUint32(float, math.Float32bits(float32(v)))
	}
	var double []byte
	for _, v := range []float64{0.25, math.Inf(-1)} {
		double = binary.LittleEndian.AppendUint64(double, math.Float64bits(v))
	}
	// ITU-T G.711, tables 1 and 2; the tables of the sender have 13 and 14 bits.
	all := []byte{0x00, 0x80, 0xff, 0x7f, 0xf0, 0x8f, 0x1b, 0xd5, 0x55, 0x2a, 0xaa}
	mu := []int16{-32124, 32124, 0, 0, 120, 16764, -10364, 716, -716, -5372, 5372}
	a := []int16{-5504, 5504, 848, -848, 688, 6784, -3904, 8, -8, -32256, 32256}
	plain := foreign(tagPCM, 16, 1, []byte{1, 0, 2, 0, 0xff, 0xff})
	change := func(at int, v ...byte) []byte {
		b := slices.Clone(plain)
		copy(b[at:], v)
		return b
	}
	size := len(plain) - 6 - 4
	for name, c := range map[string]struct {
		file []byte
		want []int16
	}{
		"16 bits":             {plain, []int16{1, 2, -1}},
		"8 bits":              {foreign(tagPCM, 8, 2, []byte{128, 129, 0, 255}), []int16{0, 256, -32768, 32512}},
		"24 bits":             {foreign(tagPCM, 24, 1, []byte{9, 1, 0, 0, 0, 0x80}), []int16{1, -32768}},
		"32 bits":             {foreign(tagPCM, 32, 1, []byte{9, 9, 1, 0xff}), []int16{-255}},
		"float":               {foreign(tagFloat, 32, 1, float), []int16{0, 16384, -32767, 32767, 0}},
		"double":              {foreign(tagFloat, 64, 1, double), []int16{8192, -32767}},
		"mu-law":              {foreign(tagMuLaw, 8, 1, all), mu},
		"A-law":               {foreign(tagALaw, 8, 1, all), a},
		"no size":             {change(size, 0, 0, 0, 0), []int16{1, 2, -1}},
		"size unknown":        {change(size, 0xff, 0xff, 0xff, 0xff), []int16{1, 2, -1}},
		"shorter than said":   {change(size, 100), []int16{1, 2, -1}},
		"broken off":          {plain[:len(plain)-1], []int16{1, 2}},
		"more behind it":      {append(slices.Clone(plain), 7, 7), []int16{1, 2, -1}},
		"our own, of 4 bytes": {write(t, Format{SampleRate: 8000, Channels: 2}, 1, []int16{5, 6}), []int16{5, 6}},
	} {
		if got, err := readForeign(c.file); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "another file": []byte("OggS and so on and so forth"), "only a header": plain[:30],
		"ADPCM": foreign(17, 4, 1, []byte{1}), "4 bits": foreign(tagPCM, 4, 1, []byte{1}), "no channel": foreign(tagPCM, 16, 0, nil),
		"large chunk": change(12, 'L', 'I', 'S', 'T', 0xff, 0xff, 0xff, 0x7f), "odd frame size": change(44, 9),
	} {
		if _, err := readForeign(b); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzForeign(f *testing.F) {
	f.Add(foreign(tagPCM, 24, 2, []byte{1, 2, 3, 4, 5, 6, 7}))
	f.Add(foreign(tagFloat, 64, 1, make([]byte, 16)))
	f.Add(foreign(tagExtensible, 8, 1, []byte{1, 2}))
	f.Add(header(Format{SampleRate: 8000, Channels: 2}, 1<<33, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readForeign(b)
		if err != nil && !errors.Is(err, ErrForeign) {
			t.Fatalf("error of another kind: %v", err)
		}
		if len(got) > len(b) {
			t.Fatalf("%d samples of %d bytes", len(got), len(b))
		}
	})
}
