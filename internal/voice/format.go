package voice

import (
	"fmt"
	"strings"
)

// AudioFormat is a kind of file that a recording can be had in. The list is
// closed.
type AudioFormat string

// The formats. WAV is the master; the others are made from it when they are
// asked for. Ogg holds Opus.
const (
	FormatWAV  AudioFormat = "wav"
	FormatFLAC AudioFormat = "flac"
	FormatMP3  AudioFormat = "mp3"
	FormatOgg  AudioFormat = "ogg"
)

// AudioFormats lists every format, the master first.
func AudioFormats() []AudioFormat {
	return []AudioFormat{FormatWAV, FormatFLAC, FormatMP3, FormatOgg}
}

// ParseAudioFormat reads a format by its name or extension, with or without the
// dot, whatever its case.
func ParseAudioFormat(s string) (AudioFormat, error) {
	name := AudioFormat(strings.ToLower(strings.TrimPrefix(s, ".")))
	for _, f := range AudioFormats() {
		if f == name {
			return f, nil
		}
	}
	return "", fmt.Errorf("%q is no audio format: it is one of wav, flac, mp3, ogg", s)
}

// Extension is the end of a file name of the format, with the dot.
func (f AudioFormat) Extension() string { return "." + string(f) }

// ContentType is the media type of the format: audio/wav as everybody writes it
// (RFC 2361 registers only audio/vnd.wave), audio/flac (RFC 9639 §12), audio/mpeg
// (RFC 3003), and audio/ogg with its codec (RFC 5334 §4, RFC 7845 §9). Empty for
// what is no format.
func (f AudioFormat) ContentType() string {
	switch f {
	case FormatWAV:
		return "audio/wav"
	case FormatFLAC:
		return "audio/flac"
	case FormatMP3:
		return "audio/mpeg"
	case FormatOgg:
		return "audio/ogg; codecs=opus"
	}
	return ""
}

// Lossless reports whether the format gives back the samples of the master as
// they are.
func (f AudioFormat) Lossless() bool { return f == FormatWAV || f == FormatFLAC }
