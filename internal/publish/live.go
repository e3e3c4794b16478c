package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// Live makes the file of what a recording holds so far, in a format. The file is
// open for reading, at its start, and vanishes when it is closed. A recording
// without a journal on this node, or with nothing on the disk yet, is
// fs.ErrNotExist. It ends with the context.
func (p *Publisher) Live(ctx context.Context, rec voice.Recording, format voice.AudioFormat) (out *os.File, err error) {
	if err := p.can(format); err != nil {
		return nil, err
	}
	err = p.o.Background.Do(ctx, func(ctx context.Context) (err error) {
		out, err = p.fleeting(string(rec.ID)+".live", func(f *os.File) error {
			_, err := p.render(ctx, &rec, p.layout(&rec), f)
			return err
		})
		if err != nil || format == voice.FormatWAV {
			return err
		}
		master := out
		out, err = p.fleeting(string(rec.ID)+".live", func(f *os.File) error {
			return render.Convert(ctx, master, f, format, nil)
		})
		return errors.Join(err, master.Close())
	})
	if err != nil && out != nil {
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		return nil, notYet(err)
	}
	return out, nil
}

// LivePeaks returns the peaks of what a recording holds so far, reduced to so
// many points. It fails as Live does.
func (p *Publisher) LivePeaks(ctx context.Context, rec voice.Recording, points int) (out voice.Peaks, err error) {
	err = p.o.Background.Do(ctx, func(ctx context.Context) error {
		picture, err := p.fleeting(string(rec.ID)+".peaks", func(f *os.File) error {
			layout := p.layout(&rec)
			layout.Peaks = f
			_, err := p.render(ctx, &rec, layout, nowhere{})
			return err
		})
		if err != nil {
			return notYet(err)
		}
		out, err = readPeaks(picture, points)
		return errors.Join(err, picture.Close())
	})
	return out, err
}

// notYet: capture begins, but nothing of it has reached the disk.
func notYet(err error) error {
	if errors.Is(err, render.ErrNotBegun) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// readPeaks reads a file of peaks.
func readPeaks(r io.Reader, points int) (voice.Peaks, error) {
	in, err := render.ReadPeaks(r, points)
	if err != nil {
		return voice.Peaks{}, err
	}
	out := voice.Peaks{SampleRate: in.SampleRate, Samples: in.Samples, Sides: make([]voice.PeakSide, len(in.Sides))}
	for i, side := range in.Sides {
		s := voice.PeakSide{Min: make([]int16, len(side)), Max: make([]int16, len(side))}
		for k, v := range side {
			s.Min[k], s.Max[k] = v.Min, v.Max
		}
		out.Sides[i] = s
	}
	return out, nil
}

// nowhere takes a file that nobody wants.
type nowhere struct{}

// Write takes all.
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// Seek fails: a file whose length is known beforehand is written front to back.
func (nowhere) Seek(int64, int) (int64, error) { return 0, errors.ErrUnsupported }
