package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tapedeck/internal/blob"
	"tapedeck/internal/voice"
)

// RenderKeys returns where a render is kept, and its receipt, which only
// voice.RenderAgain has: beside the master, under names that begin as its own
// does.
func RenderKeys(rec voice.Recording, r voice.Render) (file, receipt string, _ error) {
	wav, _, err := Keys(rec)
	if err != nil {
		return "", "", err
	}
	base := strings.TrimSuffix(wav, voice.FormatWAV.Extension())
	switch r.Kind {
	case voice.RenderAgain:
		base += "." + string(r.ID)
		return base + r.Format.Extension(), base + ".json", nil
	case voice.RenderFormat, voice.RenderPeaks: // their id is the name of their file
		own, found := strings.CutPrefix(string(r.ID), string(rec.ID)+".")
		if found && own != "wav" && own != "json" {
			return base + "." + own, "", nil
		}
	}
	return "", "", fmt.Errorf("archive: %q is no render of recording %s", r.ID, rec.ID)
}

// StoreRender keeps the file of a render, and its receipt where it has one. The
// file at path is gone when it succeeds. Where r says Size or SHA256, the file
// must have them. Storing again replaces. When it returns nil, all of it survives
// a crash, and was found to be what was given.
func (a *Archive) StoreRender(ctx context.Context, rec voice.Recording, r voice.Render, path string, receipt []byte) (File, error) {
	key, receiptKey, err := RenderKeys(rec, r)
	if err != nil {
		return File{}, err
	}
	info, err := a.put(ctx, key, path, r.Size, r.SHA256)
	if err != nil {
		return File{}, fmt.Errorf("archive render %s: %w", r.ID, err)
	}
	out := File{Key: key, Size: info.Size, SHA256: info.SHA256}
	if receiptKey == "" {
		return out, nil
	}
	if _, err := a.bucket.Put(ctx, receiptKey, bytes.NewReader(receipt)); err != nil {
		return File{}, fmt.Errorf("archive receipt of render %s: %w", r.ID, err)
	}
	out.ReceiptKey = receiptKey
	return out, nil
}

// OpenRender opens the file of a render. One that has none is blob.ErrNotExist.
// Info.SHA256 is the one of the row.
func (a *Archive) OpenRender(ctx context.Context, r voice.Render) (io.ReadSeekCloser, blob.Info, error) {
	f, info, err := a.open(ctx, r.File, "render", string(r.ID), string(r.Status))
	if err != nil {
		return nil, blob.Info{}, err
	}
	info.SHA256 = r.SHA256
	return f, info, nil
}

// RenderReceipt returns the receipt of a render. One that has none is
// blob.ErrNotExist.
func (a *Archive) RenderReceipt(ctx context.Context, r voice.Render) ([]byte, error) {
	return a.receipt(ctx, r.Receipt, "render", string(r.ID), string(r.Status))
}

// EraseRender deletes whatever may be kept of a render, durably, going by its
// ids alone: its row may be gone, or may not say yet what was stored. It is
// idempotent.
func (a *Archive) EraseRender(ctx context.Context, rec voice.Recording, id voice.RenderID) error {
	var keys []string
	if strings.HasPrefix(string(id), string(rec.ID)+".") {
		key, _, err := RenderKeys(rec, voice.Render{ID: id, Kind: voice.RenderFormat})
		if err != nil {
			return err
		}
		keys = append(keys, key)
	} else {
		for _, f := range voice.AudioFormats() {
			key, receipt, err := RenderKeys(rec, voice.Render{ID: id, Kind: voice.RenderAgain, Format: f})
			if err != nil {
				return err
			}
			keys = append(keys, key)
			if f == voice.FormatWAV {
				keys = append(keys, receipt)
			}
		}
	}
	var errs []error
	for _, key := range keys {
		if err := a.bucket.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("erase render %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}
