package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"tapedeck/internal/background"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// Live makes the file of what a recording holds so far, in a format. It is open
// for reading, at its start, and vanishes when it is closed; its SHA-256
// (hexadecimal) comes with it. Who asks while another waits for the same shares
// the file. A recording without a journal on this node, or with nothing on the
// disk yet, is fs.ErrNotExist. Else errors are *voice.Error as those of Format;
// CodeNotReady when there was no place to make it within Patience. It ends with
// the context.
func (p *Publisher) Live(ctx context.Context, rec voice.Recording, format voice.AudioFormat) (io.ReadSeekCloser, string, error) {
	if err := errors.Join(p.can(format), p.room()); err != nil {
		return nil, "", err
	}
	made, err := p.soFar(ctx, &rec, string(format), func(ctx context.Context) (*os.File, string, error) {
		return p.live(ctx, &rec, format)
	})
	if err != nil {
		return nil, "", err
	}
	return made.open(), made.sha256, nil
}

// soFar has a snapshot of a recording made, or shares one that is not begun.
func (p *Publisher) soFar(ctx context.Context, rec *voice.Recording, what string, fill func(context.Context) (*os.File, string, error)) (*snapshot, error) {
	// The end of a recording is told by its row: another status is another file.
	key := string(rec.ID) + " " + string(rec.Status) + " " + what
	made, err := p.snapshots.get(ctx, key, func(begun func()) (out *snapshot, err error) {
		err = p.o.Background.Within(ctx, p.o.Patience, func(ctx context.Context) error {
			begun()
			file, sum, err := fill(ctx)
			if err != nil {
				return err
			}
			info, err := file.Stat()
			if err != nil {
				return errors.Join(err, file.Close())
			}
			out = &snapshot{file: file, size: info.Size(), sha256: sum}
			return nil
		})
		return out, err
	})
	if errors.Is(err, background.ErrBusy) {
		err = &voice.Error{
			Code: voice.CodeNotReady, Op: "publish: make a file of what there is so far", Err: err, RetryAfter: 10 * time.Second,
			Message: "The server makes other files: ask again",
		}
	}
	return made, notYet(err)
}

// live makes a file of what there is so far, and its SHA-256.
func (p *Publisher) live(ctx context.Context, rec *voice.Recording, format voice.AudioFormat) (*os.File, string, error) {
	name, sha256 := string(rec.ID)+".live", ""
	out, err := p.fleeting(name, func(f *os.File) error {
		receipt, err := p.render(ctx, rec, p.layout(rec), f, nil)
		sha256 = receipt.File.SHA256
		return err
	})
	if err != nil || format == voice.FormatWAV {
		return out, sha256, err
	}
	master := out
	out, err = p.fleeting(name, func(f *os.File) error {
		if err := p.convert(ctx, master, f, format, nil); err != nil {
			return err
		}
		info, err := p.sum(ctx, f)
		sha256 = info.SHA256
		return err
	})
	if errClose := master.Close(); errClose != nil && out != nil {
		return nil, "", errors.Join(err, errClose, out.Close())
	}
	return out, sha256, err
}

// LivePeaks returns the peaks of what a recording holds so far, reduced to so
// many points. It fails as Live does.
func (p *Publisher) LivePeaks(ctx context.Context, rec voice.Recording, points int) (voice.Peaks, error) {
	made, err := p.soFar(ctx, &rec, "peaks", func(ctx context.Context) (*os.File, string, error) {
		picture, err := p.fleeting(string(rec.ID)+".peaks", func(f *os.File) error {
			_, err := p.render(ctx, &rec, p.layout(&rec), nil, f)
			return err
		})
		return picture, "", err
	})
	if err != nil {
		return voice.Peaks{}, err
	}
	picture := made.open()
	out, err := readPeaks(picture, points)
	return out, errors.Join(err, picture.Close())
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
