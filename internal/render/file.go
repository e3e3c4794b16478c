package render

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// File writes the planned WAV file to a path, whole and checked, or not at all:
// it is written beside it, fsynced, read back and compared with the receipt, and
// then renamed. A file that was there is replaced.
func (p *Plan) File(ctx context.Context, path string) (Receipt, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return Receipt{}, fmt.Errorf("render: %w", err)
	}
	receipt, err := p.Write(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = Check(f.Name(), receipt)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return Receipt{}, errors.Join(err, os.Remove(f.Name()))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return Receipt{}, fmt.Errorf("render: %w", err)
	}
	return receipt, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
