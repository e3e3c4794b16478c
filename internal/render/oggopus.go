package render

import (
	"fmt"
	"io"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/opus"
	"tapedeck/internal/ogg"
	"tapedeck/internal/wav"
)

const (
	// opusRate is for each side, bit/s. At 64 kbit/s for both libopus leaves the
	// width of the stereo alone: the sides are two people.
	opusRate  = 32000
	opusFrame = opus.SampleRate / 50 // 20 ms
	// oggSerial tells streams of one file apart. There is one; the same audio gives
	// the same bytes.
	oggSerial = 1
)

// oggOpus encodes what is written with Opus into an Ogg file (RFC 7845).
type oggOpus struct {
	out       *ogg.Writer
	encoder   *opus.Encoder
	format    wav.Format
	frames    int64              // samples per channel that came, at the rate of format
	encoded   int64              // and that were encoded, at 48 kHz
	resampled []*audio.Resampler // one a side
	sides     [][]int16          // what one of them gave, per side
	side      []int16            // one side of what came
	frame     []int16            // interleaved, up to a whole frame
	packet    []byte
}

func newOggOpus(w io.Writer, f wav.Format) (*oggOpus, error) {
	encoder, err := opus.NewEncoder(opus.EncoderOptions{Options: opus.Options{Channels: f.Channels}, Bitrate: opusRate * f.Channels, Music: true})
	if err != nil {
		return nil, err
	}
	out, err := ogg.NewWriter(w, ogg.Options{Channels: f.Channels, PreSkip: encoder.Lookahead(), InputRate: f.SampleRate, Serial: oggSerial})
	if err != nil {
		return nil, err
	}
	o := &oggOpus{
		out: out, encoder: encoder, format: f, sides: make([][]int16, f.Channels),
		frame: make([]int16, 0, opusFrame*f.Channels), packet: make([]byte, opus.MaxPacket),
	}
	for range f.Channels {
		o.resampled = append(o.resampled, audio.NewResampler(f.SampleRate, opus.SampleRate))
	}
	return o, nil
}

// Write takes interleaved samples.
func (o *oggOpus) Write(pcm []int16) error {
	c := o.format.Channels
	for k := range c {
		o.side = o.side[:0]
		for i := k; i < len(pcm); i += c {
			o.side = append(o.side, pcm[i])
		}
		o.sides[k] = o.resampled[k].Process(o.sides[k][:0], o.side)
	}
	o.frames += int64(len(pcm) / c)
	return o.interleave()
}

// interleave encodes what the resamplers gave, frame by frame.
func (o *oggOpus) interleave() error {
	for i := range o.sides[0] {
		for _, side := range o.sides {
			o.frame = append(o.frame, side[i])
		}
		if len(o.frame) == cap(o.frame) {
			if err := o.encode(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *oggOpus) encode() error {
	n, err := o.encoder.Encode(o.packet, o.frame)
	if err != nil {
		return err
	}
	o.frame = o.frame[:0]
	o.encoded += opusFrame
	return o.out.Packet(o.packet[:n], opusFrame)
}

// Close encodes what is left, and as much silence as it takes for the encoder to
// give back its last sample, and writes where the audio ends exactly.
func (o *oggOpus) Close() error {
	for k, r := range o.resampled {
		o.sides[k] = r.Flush(o.sides[k][:0])
	}
	if err := o.interleave(); err != nil {
		return err
	}
	rate := int64(o.format.SampleRate)
	length := (o.frames*opus.SampleRate + rate/2) / rate
	for end := length + int64(o.encoder.Lookahead()); o.encoded < end; {
		o.frame = append(o.frame, make([]int16, cap(o.frame)-len(o.frame))...)
		if err := o.encode(); err != nil {
			return err
		}
	}
	if err := o.out.Close(length); err != nil {
		return fmt.Errorf("close the Ogg stream: %w", err)
	}
	return nil
}
