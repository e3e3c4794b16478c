package prompt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/opus"
	"tapedeck/internal/flac"
	"tapedeck/internal/mp3"
	"tapedeck/internal/native"
	"tapedeck/internal/ogg"
	"tapedeck/internal/wav"
)

// MaxDuration is the longest that a file may play.
const MaxDuration = time.Hour

// maxSamples is what a file may hold of all its channels: an hour of two at 96 kHz.
// Files that say little can hold so much that it takes minutes to go through them.
const maxSamples = 3600 * 96000 * 2

// maxRate is the rate of what is played, Hz: with more, an hour would fill the
// memory, and few telephones would let it be heard.
const maxRate = 16000

// Errors of files.
var (
	ErrNoAudio = errors.New("it is no audio that can be played")
	ErrLong    = errors.New("it plays for more than an hour")
	ErrDense   = errors.New("it holds more samples than an hour of stereo at 96 kHz")
)

// source gives the samples of a file, channels interleaved, in whole frames; io.EOF
// at the end.
type source interface {
	Read([]int16) (int, error)
}

// stream is a file that is being read.
type stream struct {
	source
	kind     string // media type
	rate     int
	channels int
	close    func() // what the source holds
}

// open finds out by its first bytes what a file is: names and types that others
// give are often wrong.
func open(r io.Reader) (*stream, error) {
	in := bufio.NewReaderSize(r, 32<<10)
	head, err := in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	switch {
	case begins("RIFF"), begins("RF64"):
		f, err := wav.NewForeign(in)
		if err != nil {
			return nil, err
		}
		return &stream{f, "audio/wav", f.Format().SampleRate, f.Format().Channels, nil}, nil
	case begins("fLaC"):
		f, err := flac.NewReader(in)
		if err != nil {
			return nil, err
		}
		return &stream{f, "audio/flac", f.Format().SampleRate, f.Format().Channels, nil}, nil
	case begins("OggS"):
		return openOgg(in, head)
	case begins("ID3"), len(head) > 1 && head[0] == 0xff && head[1]&0xe6 == 0xe2: // sync word, layer III
		f, err := mp3.NewReader(in, mp3.ReadOptions{})
		if err != nil {
			return nil, err
		}
		rate, channels := f.Format()
		return &stream{f, "audio/mpeg", rate, channels, f.Close}, nil
	}
	switch text := bytes.TrimLeft(head, " \t\r\n\ufeff"); {
	case len(head) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNoAudio)
	case bytes.HasPrefix(text, []byte("<")):
		return nil, fmt.Errorf("%w: it begins like a web page", ErrNoAudio)
	}
	return nil, fmt.Errorf("%w: WAV, MP3, Ogg and FLAC are", ErrNoAudio)
}

func openOgg(in *bufio.Reader, head []byte) (*stream, error) {
	switch {
	case bytes.Contains(head, []byte("OpusHead")):
		return openOpus(in)
	case bytes.Contains(head, []byte("\x01vorbis")):
		return nil, fmt.Errorf("%w: its Ogg holds Vorbis, of Ogg only Opus is; convert it to Opus, MP3, FLAC or WAV", ErrNoAudio)
	}
	return nil, fmt.Errorf("%w: its Ogg holds neither Opus nor Vorbis", ErrNoAudio)
}

// opusFile is an Ogg file of Opus, RFC 7845.
type opusFile struct {
	pages   *ogg.Reader
	decoder *opus.Decoder
	buf     []int16
	left    []int16 // of buf, to be given
	given   int64   // samples per channel that were decoded, the first ones that are dropped counted
	skip    int     // samples that are to be dropped
	gain    float64
}

func openOpus(in io.Reader) (*stream, error) {
	pages, err := ogg.NewReader(in)
	if err != nil {
		return nil, err
	}
	o := pages.Options()
	decoder, err := opus.NewDecoder(opus.Options{Channels: o.Channels})
	if err != nil {
		return nil, err
	}
	f := &opusFile{
		pages: pages, decoder: decoder, buf: make([]int16, opus.MaxFrame*o.Channels), skip: o.PreSkip * o.Channels,
		gain: math.Pow(10, float64(pages.Gain())/256/20), // RFC 7845 §5.1: Q7.8 dB
	}
	return &stream{f, "audio/ogg", opus.SampleRate, o.Channels, nil}, nil
}

// Read gives what was decoded. A file that was cut ends where it was cut.
func (f *opusFile) Read(pcm []int16) (int, error) {
	for len(f.left) == 0 {
		packet, err := f.pages.Packet()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		n, err := f.decoder.Decode(f.buf, packet)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ogg.ErrFormat, err)
		}
		f.take(f.buf[:n])
	}
	n := copy(pcm, f.left)
	f.left = f.left[n:]
	return n, nil
}

// take drops what is before the beginning and behind the end (RFC 7845 §4.2, §4.4).
func (f *opusFile) take(pcm []int16) {
	channels := f.pages.Options().Channels
	before := f.given
	f.given += int64(len(pcm) / channels)
	if end := f.pages.Granule(); f.pages.Last() && end > 0 && f.given > end {
		pcm = pcm[:max(end-before, 0)*int64(channels)]
	}
	drop := min(f.skip, len(pcm))
	f.skip -= drop
	f.left = pcm[drop:]
	if f.gain != 1 {
		audio.Gain(f.left, f.gain)
	}
}

// found is what a file turned out to be.
type found struct {
	kind     string
	duration time.Duration
}

// decode reads a whole file and hands its samples, of one channel, to take, a few
// at a time; rate is told before the first.
func decode(ctx context.Context, r io.Reader, begin func(rate int), take func([]int16)) (f found, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: it cannot be decoded (%v)\n%s", ErrNoAudio, fault, debug.Stack())
		}
	}()
	s, err := open(r)
	if err != nil {
		return f, plain(err)
	}
	if s.close != nil {
		defer s.close()
	}
	if s.rate < 4000 || s.rate > 384000 {
		return f, fmt.Errorf("%w: it has %d samples a second", ErrNoAudio, s.rate)
	}
	begin(s.rate)
	buf := make([]int16, 4096*s.channels)
	mono := make([]int16, 4096)
	var frames int64
	for {
		n, err := s.Read(buf)
		if n > 0 {
			m := audio.Mono(mono, buf[:n], s.channels)
			take(mono[:m])
			frames += int64(m)
		}
		f = found{s.kind, time.Duration(frames) * time.Second / time.Duration(s.rate)}
		switch {
		case errors.Is(err, io.EOF) && frames == 0:
			return f, fmt.Errorf("%w: there is no sound in it", ErrNoAudio)
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return f, plain(err)
		case tooMuch(frames, s) != nil:
			return f, tooMuch(frames, s)
		case ctx.Err() != nil:
			return f, ctx.Err()
		}
	}
}

// tooMuch reports that so many frames are more than a file may have.
func tooMuch(frames int64, s *stream) error {
	switch {
	case frames > int64(s.rate)*int64(MaxDuration/time.Second):
		return ErrLong
	case frames*int64(s.channels) > maxSamples:
		return ErrDense
	}
	return nil
}

// plain makes an ErrNoAudio of what the readers say of bad files.
func plain(err error) error {
	var missing *native.MissingError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w on this server: %w", ErrNoAudio, err)
	case errors.Is(err, wav.ErrForeign), errors.Is(err, flac.ErrFormat), errors.Is(err, mp3.ErrFormat), errors.Is(err, ogg.ErrFormat):
		return fmt.Errorf("%w: %w", ErrNoAudio, err)
	}
	return err
}

// clip makes a file what a call can hear.
func clip(ctx context.Context, r io.Reader) (*audio.Clip, error) {
	out := &audio.Clip{}
	var to *audio.Resampler
	begin := func(rate int) {
		out.Rate = min(rate, maxRate)
		to = audio.NewResampler(rate, out.Rate)
	}
	if _, err := decode(ctx, r, begin, func(pcm []int16) { out.Samples = to.Process(out.Samples, pcm) }); err != nil {
		return nil, err
	}
	out.Samples = to.Flush(out.Samples)
	return out, nil
}

// probe reads a file for what it is.
func probe(ctx context.Context, r io.Reader) (found, error) {
	return decode(ctx, r, func(int) {}, func([]int16) {})
}
