package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/render/workshop"
	"tapedeck/internal/voice"
)

// errNoJournal means that there is nothing to make a file of.
var errNoJournal = errors.New("the journal cannot be read")

// partialExt ends the names of files that are being made. New deletes them.
const partialExt = ".partial"

// scratch makes a file in the work directory: whole, or not at all. The archive
// syncs what it takes.
func (p *Publisher) scratch(name string, fill func(*os.File) error) (path string, err error) {
	path = filepath.Join(p.o.WorkDir, name+partialExt)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	whole := false
	defer func() { // a panic included
		if err = errors.Join(err, f.Close()); err != nil || !whole {
			path, err = "", errors.Join(err, removeIfThere(f.Name()))
		}
	}()
	err = fill(f)
	whole = err == nil
	return path, err
}

// tidy removes scratch files that the archive did not take.
func (p *Publisher) tidy(paths ...string) {
	for _, path := range paths {
		if err := removeIfThere(path); err != nil {
			p.o.Logger.Warn("a file in the work directory is left; the next start deletes it", "path", path, "error", err)
		}
	}
}

// fleeting makes a file that has no name, and vanishes when it is closed. It is
// returned at its start.
func (p *Publisher) fleeting(name string, fill func(*os.File) error) (*os.File, error) {
	f, err := os.CreateTemp(p.o.WorkDir, name+"-*"+partialExt)
	if err != nil {
		return nil, err
	}
	// Unlinked while open: nobody has to remember to clean up.
	if err = os.Remove(f.Name()); err == nil {
		err = fill(f)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// layout is how the recording's own file is made.
func (p *Publisher) layout(rec *voice.Recording) render.Layout {
	return render.Layout{Stereo: rec.Stereo, MaxLength: rec.MaxLength, EndCause: rec.EndCause, Ended: rec.EndedAt, Software: p.o.Software}
}

// render has the WAV of the recording's journal made, as far as it goes. out and
// peaks may be nil.
func (p *Publisher) render(ctx context.Context, rec *voice.Recording, l render.Layout, out, peaks *os.File) (render.Receipt, error) {
	made, err := p.o.Workshop.Make(ctx, &workshop.Order{
		Journal: p.o.Recorder.Path(rec.ID), Layout: l, Out: out, Peaks: peaks, Progress: l.Progress,
	})
	var corrupt *journal.CorruptError
	if errors.Is(err, workshop.ErrJournal) && (errors.Is(err, fs.ErrNotExist) || errors.As(err, &corrupt)) {
		return made.Receipt, fmt.Errorf("%w: %w", errNoJournal, err)
	}
	if err != nil {
		return made.Receipt, fmt.Errorf("render recording %s: %w", rec.ID, err)
	}
	return made.Receipt, nil
}

// convert has a file of the format made of a WAV file, which is at its start.
func (p *Publisher) convert(ctx context.Context, master io.Reader, out *os.File, format voice.AudioFormat, progress func(done, total int64)) error {
	_, err := p.o.Workshop.Make(ctx, &workshop.Order{Source: master, Out: out, Format: format, Progress: progress})
	return err
}

// sum has a file read from its start and summed.
func (p *Publisher) sum(ctx context.Context, f *os.File) (workshop.Result, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return workshop.Result{}, err
	}
	return p.o.Workshop.Make(ctx, &workshop.Order{Source: f})
}

// sign makes the document of a receipt that is stored and served.
func (p *Publisher) sign(receipt render.Receipt) ([]byte, error) {
	account, err := json.MarshalIndent(receipt, "", "  ")
	if err == nil {
		account, err = p.o.Signer.Sign(account)
	}
	if err != nil {
		return nil, fmt.Errorf("sign the receipt of %s: %w", receipt.Recording, err)
	}
	return account, nil
}

func removeIfThere(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
