package codec

import (
	"tapedeck/internal/codec/g722"
	"tapedeck/internal/codec/plc"
)

// density is how many values are in how many bytes of a format in which that
// never changes.
type density struct{ values, bytes int }

// steady decodes such a format. It does not conceal by itself, so plc does.
type steady struct {
	density density
	decode  func(dst []int16, src []byte)
	plc     *plc.Concealer
}

func newSteady(i Info, d density, decode func(dst []int16, src []byte)) *steady {
	return &steady{density: d, decode: decode, plc: plc.New(i.SampleRate, i.Channels)}
}

func (s *steady) Decode(dst []int16, payload []byte) (int, error) {
	units := len(payload) / s.density.bytes
	n := units * s.density.values
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	s.decode(dst[:n], payload[:units*s.density.bytes])
	s.plc.Good(dst[:n])
	return n, nil
}

func (s *steady) Conceal(dst []int16) { s.plc.Conceal(dst) }
func (s *steady) Reset()              { s.plc.Reset() }

// wideband decodes G.722. In a loss its decoder stands still: told to follow what
// is made up, it is further off afterwards, and as new, further still.
type wideband struct {
	steady
	decoder *g722.Decoder
}

func newWideband(i Info) *wideband {
	d := g722.NewDecoder(g722.Mode64)
	return &wideband{*newSteady(i, density{2, 1}, d.Decode), d}
}

func (w *wideband) Reset() {
	w.plc.Reset()
	w.decoder.Reset()
}

// steadyEncoder encodes a format of constant density.
type steadyEncoder struct {
	density density
	encode  func(dst []byte, src []int16)
}

func (e steadyEncoder) Encode(dst []byte, pcm []int16) (int, error) {
	units := len(pcm) / e.density.values
	n := units * e.density.bytes
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	e.encode(dst[:n], pcm[:units*e.density.values])
	return n, nil
}
