package render

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/wav"
)

// WAVPeaks makes the peaks of a WAV file, for ReadPeaks: the same that Write
// gives to Layout.Peaks while it makes the file. It reads src once, in pieces.
func WAVPeaks(ctx context.Context, src io.Reader, w io.Writer) error {
	in, err := wav.NewReader(src)
	if err != nil {
		return fmt.Errorf("make peaks: %w", err)
	}
	const piece = 1 << 14 // frames between two looks at ctx
	channels := in.Format().Channels
	inter, sides := make([]int16, piece*channels), make([][]int16, channels)
	for i := range sides {
		sides[i] = make([]int16, piece)
	}
	out := newPeaksWriter(w, in.Format().SampleRate, channels, in.Frames())
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(inter)
		if n == 0 && errors.Is(err, io.EOF) {
			return out.close()
		}
		if err != nil {
			return fmt.Errorf("make peaks: %w", err)
		}
		for i := range sides {
			sides[i] = sides[i][:n/channels]
			for k := range sides[i] {
				sides[i][k] = inter[k*channels+i]
			}
		}
		out.add(sides)
	}
}
