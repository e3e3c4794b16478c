package speech

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/wav"
)

// longest is how long an engine may speak at once.
const longest = time.Hour

// decode reads a WAV file that an engine made, its first channel. What the file says of
// itself may be anything: one that plays for longer than an hour, by a rate that nobody
// listens to, would fill the memory once it is brought to another rate.
func decode(r io.Reader) (*audio.Clip, error) {
	f, err := wav.NewForeign(r)
	if err != nil {
		return nil, err
	}
	format := f.Format()
	clip := &audio.Clip{Rate: format.SampleRate}
	pcm := make([]int16, 4096/format.Channels*format.Channels)
	for {
		n, err := f.Read(pcm)
		for i := 0; i < n; i += format.Channels {
			clip.Samples = append(clip.Samples, pcm[i])
		}
		if clip.Duration() > longest {
			return nil, fmt.Errorf("it speaks for more than %v", longest)
		}
		if errors.Is(err, io.EOF) {
			return clip, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// littleEndian is samples as files and pipes hold them.
func littleEndian(samples []int16) []byte {
	out := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		out = binary.LittleEndian.AppendUint16(out, uint16(v)) //nolint:gosec // the bits of it
	}
	return out
}

// appended is where a file is written that is only appended to.
type appended struct{ io.Writer }

// Seek is asked for by files whose length was not known.
func (appended) Seek(int64, int) (int64, error) { return 0, errors.ErrUnsupported }
